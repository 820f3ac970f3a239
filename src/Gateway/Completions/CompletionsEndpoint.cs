using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Completions;

/// <summary>POST /v1/completions.</summary>
internal static class CompletionsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/completions", HandleAsync)
            .WithTags("Completions")
            .WithName("createCompletion")
            .WithSummary("Continues a text or token ids, whole or as server-sent events (text_completion) where stream is true; scores them where echo is true.")
            .Accepts<CompletionRequest>("application/json")
            .Produces<Completion>()
            .ProducesErrors(400, 403, 404, 413, 415, 429, 502, 503);

    private static async Task HandleAsync(HttpContext http, AnswerPipeline pipeline)
    {
        CompletionRequest request = await RequestBody.ReadAsync(http.Request, CompletionsWire.Json.CompletionRequest);
        if (request.MaxTokens == 0 && request.Echo != true)
        {
            throw new EngineException(EngineError.InvalidValue, "max_tokens is 0; it must be at least 1, except with echo: true.", "max_tokens");
        }

        bool scores = request.Echo == true && (request.Logprobs is not null || request.MaxTokens == 0);
        AnswerOptions options = new(request.MaxTokens ?? CompletionRequest.DefaultMaxTokens, request.Logprobs, scores, request.IgnoreEos == true);
        await pipeline.RunAsync(http, request, options, "prompt", call => Prompts(request, call, scores), (call, answers) => new CompletionWriter(call, answers, request));
    }

    private static AskedPrompts Prompts(CompletionRequest request, ModelCall call, bool scores)
    {
        Prompt[] prompts = [.. request.Prompt!.Select(item => item.Tokens is { } tokens ? call.Plan.Render(tokens) : call.Plan.Render(item.Text!))];
        return new(prompts, request.Echo != true ? null : [.. prompts.Select((prompt, i) => EchoedPrompt.Of(call.Model.Tokenizer, prompt.Streams[0].Span, request.Prompt![i].Text, scores))], AreContinued: true);
    }
}
