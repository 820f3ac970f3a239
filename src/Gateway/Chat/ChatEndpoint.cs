using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
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

    private static async Task HandleAsync(HttpContext http, AnswerPipeline pipeline)
    {
        ChatCompletionRequest request = await RequestBody.ReadAsync(http.Request, ChatWire.Json.ChatCompletionRequest);
        IReadOnlyList<ChatMessage> messages = Messages(request.Messages!);
        AnswerOptions options = new(request.MaxCompletionTokens ?? request.MaxTokens, TopLogprobs(request));
        await pipeline.RunAsync(
            http, request, options, "messages", call => new([call.Plan.Render(messages)]), (call, answers) => new ChatWriter(call, answers, request.Logprobs == true));
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
