using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Requests;

/// <summary>Reads a request so that every mistake is answered with the field, its value and what is accepted.</summary>
internal static partial class RequestBody
{
    private const int LongestQuote = 80;
    private const string BrokenText = @"holds text that is not valid Unicode: half of a surrogate pair, such as \ud83d without \ude00 behind it, or bytes that are not UTF-8";

    /// <exception cref="EngineException">InvalidValue.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request, JsonTypeInfo<T> type)
    {
        using JsonDocument document = await ParseAsync(request);
        try
        {
            return Read(document.RootElement, type);
        }
        catch (Exception error) when (error is InvalidOperationException or DecoderFallbackException)
        {
            // JsonElement throws these for bytes that are not UTF-8 and for halves of surrogate pairs, in values and in names.
            string place = JsonFaults.BrokenText(document.RootElement, "") is { Length: > 0 } path ? path : "The body";
            throw new EngineException(EngineError.InvalidValue, $"{place} {BrokenText}; accepted is JSON in UTF-8.", inner: error);
        }
    }

    private static T Read<T>(JsonElement root, JsonTypeInfo<T> type)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new EngineException(EngineError.InvalidValue, $"The body is {Quote(root)}; accepted is a JSON object.");
        }

        string[] names = [.. FieldsOf<T>.All.Select(field => field.Name)];
        if (JsonFaults.RepeatedName(root, "", name => names.Contains(name) || UnsupportedFeatures.Has(name)) is { } repeated)
        {
            throw new EngineException(
                EngineError.InvalidValue, $"{repeated.Place} is given twice, the second time as {Quote(repeated.Value)}; accepted is one value.", repeated.Place);
        }

        UnsupportedFeatures.Check(root, names);
        T body = Deserialize(root, type);
        foreach ((string name, PropertyInfo field) in FieldsOf<T>.All)
        {
            CheckField(name, field, field.GetValue(body), root);
        }

        return body;
    }

    private static async Task<JsonDocument> ParseAsync(HttpRequest request)
    {
        try
        {
            return await JsonDocument.ParseAsync(request.Body, default, request.HttpContext.RequestAborted);
        }
        catch (JsonException error)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"The body is not valid JSON (line {error.LineNumber + 1}, byte {error.BytePositionInLine}).",
                inner: error);
        }
    }

    private static T Deserialize<T>(JsonElement root, JsonTypeInfo<T> type)
    {
        try
        {
            return root.Deserialize(type)!;
        }
        catch (JsonException error)
        {
            string[] path = [.. PathStep().Matches(error.Path ?? "").Select(step => step.Groups["step"].Value)];
            string name = error.Path?.TrimStart('$', '.') ?? "";
            JsonElement value = Follow(root, path);
            string accepted = AcceptedValues.At(typeof(T), path);
            // Bytes that are not UTF-8 cannot be quoted, which ReadAsync tells. Half of a surrogate pair can.
            EngineException refused = Refused(name, value, accepted);
            throw JsonFaults.BrokenText(value, name) is { } broken
                ? new EngineException(EngineError.InvalidValue, $"{broken} {BrokenText}; accepted is {accepted}.", name, error)
                : refused;
        }
    }

    private static void CheckField(string name, PropertyInfo field, object? value, JsonElement root)
    {
        if (value is null)
        {
            if (field.IsDefined(typeof(RequiredAttribute)))
            {
                throw new EngineException(EngineError.InvalidValue, $"{name} is missing; accepted is {AcceptedValues.Of(field)}.", name);
            }
        }
        else if (field.GetCustomAttribute<RangeAttribute>() is { } range && !range.IsValid(value))
        {
            throw Refused(name, root.GetProperty(name), AcceptedValues.Of(field));
        }
    }

    private static EngineException Refused(string name, JsonElement value, string accepted) =>
        new(EngineError.InvalidValue, $"{name} is {Quote(value)}; accepted is {accepted}.", name);

    private static JsonElement Follow(JsonElement value, IEnumerable<string> path)
    {
        foreach (string step in path)
        {
            if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty(step, out JsonElement member))
            {
                value = member;
            }
            else if (value.ValueKind == JsonValueKind.Array && int.TryParse(step, out int index) && index < value.GetArrayLength())
            {
                value = value[index];
            }
        }

        return value;
    }

    private static string Quote(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= LongestQuote ? text : text[..LongestQuote] + "...";
    }

    /// <summary>Reflection once for each type of body.</summary>
    private static class FieldsOf<T>
    {
        public static readonly (string Name, PropertyInfo Field)[] All = [.. AcceptedValues.Fields(typeof(T)).Select(field => (AcceptedValues.NameOf(field), field))];
    }

    // JsonException.Path: $.messages[0].content or $.fusion.experts['a.b'].
    [GeneratedRegex(@"\['(?<step>.*?)'\]|\[(?<step>\d+)\]|\.(?<step>[^.\[]+)")]
    private static partial Regex PathStep();
}

/// <summary>
/// Refuses fields of OpenAI's API that would change what an answer means and that this server does not support.
/// It ignores other unknown fields, like other compatible servers.
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

    public static bool Has(string name) => Harmless.ContainsKey(name);

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
