using System.Text.Json;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Requests;

/// <summary>
/// Fields of OpenAI's API that would change what an answer means and are not supported: refused, never silently dropped.
/// Other unknown fields are ignored, as compatible servers do.
/// </summary>
internal static class UnsupportedFeatures
{
    private static readonly Dictionary<string, Func<JsonElement, bool>> Harmless = new()
    {
        ["tools"] = IsEmptyArray,
        ["functions"] = IsEmptyArray,
        ["response_format"] = value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out JsonElement type) && IsText(type),
        ["modalities"] = value => value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(IsText),
        ["audio"] = _ => false,
        ["web_search_options"] = _ => false,
        ["echo"] = value => value.ValueKind == JsonValueKind.False,
        ["suffix"] = value => value.ValueKind == JsonValueKind.String && value.ValueEquals(""),
        ["best_of"] = value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count == 1,
    };

    /// <param name="supported">Fields that this request has.</param>
    /// <exception cref="EngineException">InvalidValue, naming the field.</exception>
    public static void Check(JsonElement body, IEnumerable<string> supported)
    {
        foreach ((string name, Func<JsonElement, bool> isHarmless) in Harmless.ExceptBy(supported, feature => feature.Key))
        {
            if (body.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null && !isHarmless(value))
            {
                throw new EngineException(EngineError.InvalidValue, $"{name} is not supported by this server; leave it out.", name);
            }
        }
    }

    private static bool IsEmptyArray(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    private static bool IsText(JsonElement value) => value.ValueKind == JsonValueKind.String && value.ValueEquals("text");
}
