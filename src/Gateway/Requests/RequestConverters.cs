using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Gateway.Completions;

namespace ProxyTune.Gateway.Requests;

/// <summary><c>"a"</c> or <c>["a", "b"]</c>.</summary>
internal sealed class StopConverter : JsonConverter<IReadOnlyList<string>>
{
    private const int MaxStops = 4;

    public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument value = JsonDocument.ParseValue(ref reader);
        string[] stops = value.RootElement.ValueKind switch
        {
            JsonValueKind.String => [value.RootElement.GetString()!],
            JsonValueKind.Array => [.. value.RootElement.EnumerateArray().Select(Wire.Text)],
            _ => throw new JsonException(),
        };
        return stops.Length <= MaxStops && stops.All(stop => stop.Length > 0) ? stops : throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options) =>
        throw new NotSupportedException("Requests are only read.");
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

/// <summary>The four shapes of a completion's prompt.</summary>
internal sealed class PromptConverter : JsonConverter<IReadOnlyList<PromptItem>>
{
    public override IReadOnlyList<PromptItem> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        JsonElement value = document.RootElement;
        if (value.ValueKind == JsonValueKind.String)
        {
            return [new PromptItem(value.GetString(), null)];
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            throw new JsonException();
        }

        return value[0].ValueKind switch
        {
            JsonValueKind.String => [.. value.EnumerateArray().Select(item => new PromptItem(Wire.Text(item), null))],
            JsonValueKind.Number => [new PromptItem(null, Tokens(value))],
            _ => [.. value.EnumerateArray().Select(item => new PromptItem(null, Tokens(item)))],
        };
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<PromptItem> value, JsonSerializerOptions options) =>
        throw new NotSupportedException("Requests are only read.");

    private static int[] Tokens(JsonElement array) =>
        array.ValueKind == JsonValueKind.Array && array.GetArrayLength() > 0
            ? [.. array.EnumerateArray().Select(Token)]
            : throw new JsonException();

    private static int Token(JsonElement id) =>
        id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int value) ? value : throw new JsonException();
}
