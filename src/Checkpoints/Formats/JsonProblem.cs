using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// Says where JSON differs from the type that it was to be read as: the place, the value and what is accepted. The serializer tells this only
/// in English sentences that name our types, so the JSON is compared with the type's contract once more.
/// </summary>
internal static class JsonProblem
{
    /// <param name="error">What the serializer threw.</param>
    /// <param name="json">What it read.</param>
    /// <param name="type">The type to read, with the options that it was read with.</param>
    /// <returns>A place and a sentence, such as <c>$.weights[0] is "x", which has the wrong type; accepted is a number.</c></returns>
    public static string Reason(JsonException error, ReadOnlySpan<byte> json, JsonTypeInfo type)
    {
        JsonDocumentOptions options = new()
        {
            CommentHandling = type.Options.ReadCommentHandling,
            AllowTrailingCommas = type.Options.AllowTrailingCommas,
            MaxDepth = type.Options.MaxDepth,
        };
        try
        {
            JsonElement root = JsonElement.Parse(json, options);
            return JsonFaults.BrokenText(root, "$") is { } broken ? $"{broken} holds text that is not valid Unicode, such as half of a surrogate pair."
                : !type.Options.AllowDuplicateProperties && JsonFaults.RepeatedName(root, "$") is { } repeated ? $"{repeated.Place} is given twice; accepted is one value."
                : Find(root, type, "$") ?? $"{error.Path}: this value is not accepted.";
        }
        catch (JsonException syntax)
        {
            return string.Create(CultureInfo.InvariantCulture, $"byte {syntax.BytePositionInLine + 1}: this is not valid JSON.");
        }
    }

    private static string? Find(JsonElement json, JsonTypeInfo type, string path) => (json.ValueKind, type.Kind) switch
    {
        (JsonValueKind.Object, JsonTypeInfoKind.Object) => FindInObject(json, type, path),
        (JsonValueKind.Object, JsonTypeInfoKind.Dictionary) =>
            FirstOf(json.EnumerateObject().Select(entry => Find(entry.Value, type.Options.GetTypeInfo(type.ElementType!), $"{path}.{entry.Name}"))),
        (JsonValueKind.Array, JsonTypeInfoKind.Enumerable) =>
            FirstOf(json.EnumerateArray().Select((item, i) => Find(item, type.Options.GetTypeInfo(type.ElementType!), $"{path}[{i}]"))),
        (JsonValueKind.Object, _) when type.Converter is INestedContract nested => Find(json, nested.Contract, path),
        _ => Fits(json, type) ? null : $"{path} is {json.GetRawText()}, which has the wrong type; accepted is {Accepted(type)}.",
    };

    private static string? FindInObject(JsonElement json, JsonTypeInfo type, string path)
    {
        bool refusesOthers = (type.UnmappedMemberHandling ?? type.Options.UnmappedMemberHandling) == JsonUnmappedMemberHandling.Disallow;
        foreach (JsonProperty field in json.EnumerateObject())
        {
            if (type.Properties.FirstOrDefault(property => property.Name == field.Name) is not { } known)
            {
                if (refusesOthers)
                {
                    return $"{path}: '{field.Name}' is not a field here; accepted are {string.Join(", ", type.Properties.Select(property => property.Name))}.";
                }

                continue;
            }

            string place = $"{path}.{field.Name}";
            JsonTypeInfo inner = type.Options.GetTypeInfo(known.PropertyType);
            string? problem = field.Value.ValueKind == JsonValueKind.Null && RefusesNull(known) ? $"{place} is null; accepted is {Accepted(inner)}." : Find(field.Value, inner, place);
            if (problem is not null)
            {
                return problem;
            }
        }

        return type.Properties.FirstOrDefault(property => property.IsRequired && !json.TryGetProperty(property.Name, out _)) is { } missing
            ? $"{path}: {missing.Name} is missing; accepted is {Accepted(type.Options.GetTypeInfo(missing.PropertyType))}."
            : null;
    }

    private static string? FirstOf(IEnumerable<string?> problems) => problems.FirstOrDefault(problem => problem is not null);

    private static bool RefusesNull(JsonPropertyInfo property) =>
        property.Options.RespectNullableAnnotations && !(property.AssociatedParameter?.IsNullable ?? property.IsSetNullable);

    private static bool Fits(JsonElement json, JsonTypeInfo type)
    {
        try
        {
            json.Deserialize(type);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Accepted(JsonTypeInfo type) => type.Kind switch
    {
        JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary => "an object",
        JsonTypeInfoKind.Enumerable => "a list",
        _ => Type.GetTypeCode(Nullable.GetUnderlyingType(type.Type) ?? type.Type) switch
        {
            TypeCode.Boolean => "true or false",
            TypeCode.String => "a text",
            TypeCode.Single or TypeCode.Double or TypeCode.Decimal => "a number",
            TypeCode.Int32 => $"an integer from {int.MinValue} to {int.MaxValue}",
            TypeCode.Int64 => $"an integer from {long.MinValue} to {long.MaxValue}",
            TypeCode.Object when type.Converter is INestedContract => "a text or an object",
            TypeCode.Object => "an object",
            _ => "an integer",
        },
    };
}

/// <summary>A converter that reads a text itself and an object by the contract of another type.</summary>
internal interface INestedContract
{
    JsonTypeInfo Contract { get; }
}
