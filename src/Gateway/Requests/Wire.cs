using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Requests;

/// <summary>JSON on the wire: OpenAI's snake_case names. Each slice has a context of this form for its own types, generated at compile time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ErrorBody))]
internal sealed partial class Wire : JsonSerializerContext
{
    public static Wire Json { get; } = new(NewOptions());

    /// <summary>The options of a context; each needs its own. Text is written as it is, without the escapes that only HTML needs.</summary>
    public static JsonSerializerOptions NewOptions() =>
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="JsonException">The value is not a string.</exception>
    public static string Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new JsonException();
}
