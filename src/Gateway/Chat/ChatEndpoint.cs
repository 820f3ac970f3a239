using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Chat;

/// <summary>POST /v1/chat/completions.</summary>
internal static class ChatEndpoint
{
    private static readonly string[] Roles = ["system", "developer", "user", "assistant"];

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/chat/completions", HandleAsync)
            .WithTags("Chat")
            .WithName("createChatCompletion")
            .WithSummary("Answers a conversation, whole or as server-sent events (chat.completion.chunk) where stream is true.")
            .Accepts<ChatCompletionRequest>("application/json")
            .Produces<ChatCompletion>()
            .ProducesErrors(400, 403, 404, 413, 415, 429, 502, 503);

    private static async Task HandleAsync(HttpContext http, ServedModels served, Caller caller, DecodeScheduler scheduler)
    {
        ChatCompletionRequest request = await RequestBody.ReadAsync(http.Request, ChatWire.Json.ChatCompletionRequest);
        ModelCall call = ModelCall.Resolve(served, caller, request, http);
        GenerationRequestTemplate template = new(
            request, call.Model.VocabularySize, request.MaxCompletionTokens ?? request.MaxTokens, TopLogprobs(request));
        using AnswerSet answers = Submit(scheduler, call, request, template);
        ChatStream chat = new(call, answers, request.Logprobs == true);
        if (request.Stream == true)
        {
            await EventStream.RunAsync(http, stream => chat.WriteAsync(stream, request.StreamOptions?.IncludeUsage == true, http.RequestAborted));
        }
        else
        {
            ChatCompletion whole = await chat.CollectAsync(http.RequestAborted);
            await http.Response.WriteAsJsonAsync(whole, ChatWire.Json.ChatCompletion, cancellationToken: http.RequestAborted);
        }
    }

    /// <summary>The engine knows prompts only; here they were called messages.</summary>
    private static AnswerSet Submit(
        DecodeScheduler scheduler, ModelCall call, ChatCompletionRequest request, GenerationRequestTemplate template)
    {
        IReadOnlyList<ChatMessage> messages = Messages(request.Messages!);
        try
        {
            Prompt prompt = call.Plan.Render(messages);
            return new AnswerSet(scheduler, call, [prompt], request, template);
        }
        catch (EngineException error) when (error.Field == "prompt")
        {
            throw new EngineException(error.Error, error.Message, "messages", error);
        }
    }

    private static IReadOnlyList<ChatMessage> Messages(IReadOnlyList<RequestMessage> messages)
    {
        if (messages.Count == 0)
        {
            throw new EngineException(EngineError.InvalidValue, "messages is []; accepted is at least one message.", "messages");
        }

        return [.. messages.Select(Message)];
    }

    private static ChatMessage Message(RequestMessage message, int index)
    {
        if (!Roles.Contains(message?.Role))
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"messages[{index}].role is {message?.Role ?? "missing"}; accepted are {string.Join(", ", Roles)}.",
                $"messages[{index}].role");
        }

        // Newer clients say developer where templates know system.
        string role = message!.Role == "developer" ? "system" : message.Role!;
        return new ChatMessage(role, message.Content ?? throw new EngineException(
            EngineError.InvalidValue,
            $"messages[{index}].content is missing; accepted is a string or an array of text parts.",
            $"messages[{index}].content"), message.Name);
    }

    private static int? TopLogprobs(ChatCompletionRequest request)
    {
        if (request.TopLogprobs is { } top && request.Logprobs != true)
        {
            throw new EngineException(EngineError.InvalidValue, $"top_logprobs is {top}, which needs logprobs: true.", "top_logprobs");
        }

        return request.Logprobs == true ? request.TopLogprobs ?? 0 : null;
    }
}
