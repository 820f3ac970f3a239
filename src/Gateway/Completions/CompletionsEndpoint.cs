using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;
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

    private static async Task HandleAsync(HttpContext http, ServedModels served, Caller caller, DecodeScheduler scheduler)
    {
        CompletionRequest request = await RequestBody.ReadAsync(http.Request, CompletionsWire.Json.CompletionRequest);
        ModelCall call = ModelCall.Resolve(served, caller, request, http);
        Prompt[] prompts = [.. request.Prompt!.Select(item => item.Tokens is { } tokens
            ? call.Plan.Render(tokens)
            : call.Plan.Render(item.Text!))];
        bool echo = request.Echo == true, score = echo && (request.Logprobs is not null || request.MaxTokens == 0);
        if (request.MaxTokens == 0 && !echo)
        {
            throw new EngineException(EngineError.InvalidValue, "max_tokens is 0; it must be at least 1, except with echo: true.", "max_tokens");
        }

        GenerationRequestTemplate template = new(
            request, call.Model.VocabularySize, request.MaxTokens ?? CompletionRequest.DefaultMaxTokens, request.Logprobs, score, request.IgnoreEos == true);
        EchoedPrompt[]? echoes = !echo ? null : [.. prompts.Select((prompt, i) =>
            EchoedPrompt.Of(call.Model.Tokenizer, prompt.Streams[0].Span, request.Prompt![i].Text, score))];
        using AnswerSet answers = new(scheduler, call, prompts, request, template, echoes);
        CompletionStream completion = new(call, answers, request.Logprobs is null ? null : LogprobWriter.Names(call.Model.Tokenizer, request.ReturnTokensAsTokenIds == true));
        if (request.Stream == true)
        {
            await EventStream.RunAsync(http, stream => completion.WriteAsync(stream, request.StreamOptions?.IncludeUsage == true, http.RequestAborted));
        }
        else
        {
            Completion whole = await completion.CollectAsync(http.RequestAborted);
            await http.Response.WriteAsJsonAsync(whole, CompletionsWire.Json.Completion, cancellationToken: http.RequestAborted);
        }
    }
}
