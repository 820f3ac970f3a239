using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Requests;

/// <summary>Reads a request so that every mistake is answered with the field, its value and what is accepted.</summary>
internal static partial class RequestBody
{
    private const int LongestQuote = 80;

    /// <exception cref="EngineException">InvalidValue.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request, JsonTypeInfo<T> type)
    {
        using JsonDocument document = await ParseAsync(request);
        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new EngineException(EngineError.InvalidValue, $"The body is {Quote(root)}; accepted is a JSON object.");
        }

        try
        {
            return Read(root, type);
        }
        catch (InvalidOperationException error)
        {
            // What JsonElement throws for bytes that are no UTF-8 and for halves of surrogate pairs, wherever they stand.
            throw new EngineException(EngineError.InvalidValue, "The body holds text that is not valid Unicode; accepted is JSON in UTF-8.", inner: error);
        }
    }

    private static T Read<T>(JsonElement root, JsonTypeInfo<T> type)
    {
        UnsupportedFeatures.Check(root, AcceptedValues.Fields(typeof(T)).Select(AcceptedValues.NameOf));
        T body = Deserialize(root, type);
        foreach (PropertyInfo field in AcceptedValues.Fields(typeof(T)))
        {
            CheckField(field, field.GetValue(body), root);
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
            throw Refused(error.Path?.TrimStart('$', '.') ?? "", Follow(root, path), AcceptedValues.At(typeof(T), path));
        }
    }

    private static void CheckField(PropertyInfo field, object? value, JsonElement root)
    {
        string name = AcceptedValues.NameOf(field);
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

    // JsonException.Path: $.messages[0].content or $.fusion.experts['a.b'].
    [GeneratedRegex(@"\['(?<step>.*?)'\]|\[(?<step>\d+)\]|\.(?<step>[^.\[]+)")]
    private static partial Regex PathStep();
}
