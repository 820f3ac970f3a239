using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Audits;
using ProxyTune.Gateway.Chat;
using ProxyTune.Gateway.Completions;
using ProxyTune.Gateway.Experts;
using ProxyTune.Gateway.Models;

namespace ProxyTune.Gateway.Requests;

/// <summary>The one JSON configuration: OpenAI's snake_case names, generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatCompletionRequest))]
[JsonSerializable(typeof(CompletionRequest))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatCompletionChunk))]
[JsonSerializable(typeof(Completion))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(HealthBody))]
[JsonSerializable(typeof(FusionSettings))]
[JsonSerializable(typeof(AuditRequest))]
[JsonSerializable(typeof(AuditReport))]
[JsonSerializable(typeof(ServeRequest))]
[JsonSerializable(typeof(RetireRequest))]
[JsonSerializable(typeof(RetireAnswer))]
[JsonSerializable(typeof(PortObject))]
[JsonSerializable(typeof(ExpertList))]
[JsonSerializable(typeof(ExpertObject))]
[JsonSerializable(typeof(ExpertDeleted))]
internal sealed partial class Wire : JsonSerializerContext
{
    // Lazy, because the generated half's static fields may be set later than this half's.
    private static readonly Lazy<Wire> Relaxed = new(() =>
        new Wire(new JsonSerializerOptions(Default!.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));

    /// <summary>Text as it is, without escapes that only HTML would need.</summary>
    public static Wire Json => Relaxed.Value;

    public static string Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new JsonException();
}
