using System.Text.Json.Serialization;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Chat;

/// <summary>The whole answer to a chat request.</summary>
/// <param name="Created">Seconds since 1970; clients refuse anything but an integer.</param>
internal sealed record ChatCompletion(
    string Id, long Created, string Model, string SystemFingerprint, IReadOnlyList<ChatChoice> Choices, Usage Usage)
{
    public string Object { get; } = "chat.completion";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AskedFusion? Fusion { get; init; }
}

internal sealed record ChatChoice(int Index, AnswerMessage Message, ChatLogprobs? Logprobs, string FinishReason)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public FusionTrace? FusionTrace { get; init; }
}

internal sealed record AnswerMessage(string Content)
{
    public string Role { get; } = "assistant";

    public string? Refusal { get; }
}

/// <summary>One event of a streamed chat answer. The one that carries usage has no choices.</summary>
internal sealed record ChatCompletionChunk(
    string Id, long Created, string Model, string SystemFingerprint, IReadOnlyList<ChunkChoice> Choices)
{
    public string Object { get; } = "chat.completion.chunk";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }

    /// <summary>In a choice's first chunk, the one with the role.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AskedFusion? Fusion { get; init; }
}

internal sealed record ChunkChoice(int Index, ChunkDelta Delta, ChatLogprobs? Logprobs, string? FinishReason)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public FusionTrace? FusionTrace { get; init; }
}

internal sealed record ChunkDelta
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }
}

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatCompletionRequest))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatCompletionChunk))]
internal sealed partial class ChatWire : JsonSerializerContext
{
    public static ChatWire Json { get; } = new(Wire.NewOptions());
}
