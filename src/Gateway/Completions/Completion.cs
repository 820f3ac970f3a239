using System.Text.Json.Serialization;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Completions;

/// <summary>A text answer: whole, or one event of a stream (then the finish reason is null until the last).</summary>
internal sealed record Completion(
    string Id, long Created, string Model, string SystemFingerprint, IReadOnlyList<CompletionChoice> Choices)
{
    public string Object { get; } = "text_completion";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AskedFusion? Fusion { get; init; }
}

internal sealed record CompletionChoice(int Index, string Text, CompletionLogprobs? Logprobs, string? FinishReason)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public FusionTrace? FusionTrace { get; init; }
}

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(CompletionRequest))]
[JsonSerializable(typeof(Completion))]
internal sealed partial class CompletionsWire : JsonSerializerContext
{
    public static CompletionsWire Json { get; } = new(Wire.NewOptions());
}
