using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Chat;

/// <summary>Body of POST /v1/chat/completions.</summary>
internal sealed record ChatCompletionRequest : RequestFields
{
    [Required]
    [Description("a non-empty array of objects with role (system, developer, user or assistant) and content (a string or an array of text parts)")]
    public IReadOnlyList<RequestMessage>? Messages { get; init; }

    [Range(1, int.MaxValue)]
    public int? MaxTokens { get; init; }

    /// <summary>OpenAI's newer name for max_tokens; wins where both are given.</summary>
    [Range(1, int.MaxValue)]
    public int? MaxCompletionTokens { get; init; }

    public bool? Logprobs { get; init; }

    /// <summary>Needs logprobs: true.</summary>
    [Range(0, 20)]
    public int? TopLogprobs { get; init; }
}

internal sealed record RequestMessage
{
    public string? Role { get; init; }

    /// <summary>Who speaks. <c>context</c> marks the message that method context_aware contrasts.</summary>
    public string? Name { get; init; }

    [JsonConverter(typeof(TextContentConverter))]
    [Description("a string or an array of text parts")]
    public string? Content { get; init; }
}

/// <summary><c>"a"</c> or <c>[{"type": "text", "text": "a"}]</c>; parts are joined.</summary>
internal sealed class TextContentConverter : JsonConverter<string>
{
    public override string Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument value = JsonDocument.ParseValue(ref reader);
        return value.RootElement.ValueKind switch
        {
            JsonValueKind.String => value.RootElement.GetString()!,
            JsonValueKind.Array => string.Concat(value.RootElement.EnumerateArray().Select(Part)),
            _ => throw new JsonException(),
        };
    }

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => writer.WriteStringValue(value);

    private static string Part(JsonElement part) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String
            && type.ValueEquals("text") && part.TryGetProperty("text", out JsonElement text)
            ? Wire.Text(text)
            : throw new JsonException();
}
