using System.Globalization;
using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// A JSON object of a model folder, read field by field. A field that is missing or wrong is refused with an
/// <see cref="EngineError.InvalidModelFolder"/> that names the file, the field, the value and what is accepted. null is the same as missing.
/// </summary>
/// <param name="File">The file that holds the object, as messages name it.</param>
/// <param name="Json">An object.</param>
/// <param name="Parent">Names of the objects around it, each with a dot behind it.</param>
internal sealed record JsonFields(string File, JsonElement Json, string Parent = "")
{
    /// <summary>The object that a file holds.</summary>
    public static JsonFields Read(string path)
    {
        try
        {
            JsonElement json = JsonElement.Parse(JsonFile.Bytes(path));
            return json.ValueKind == JsonValueKind.Object ? new(path, json) : throw EngineException.InFile(path, $"the content is {json}; accepted is an object.");
        }
        catch (JsonException error)
        {
            throw EngineException.InFile(path, $"line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}: this is not valid JSON.", inner: error);
        }
    }

    /// <summary>The field's value, or null where it is missing.</summary>
    public JsonElement? Find(string name) => Json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public JsonFields? FindObject(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new(File, value, $"{Parent}{name}.")
        : throw Wrong(name, "an object");

    public JsonFields Object(string name) => FindObject(name) ?? throw Wrong(name, "an object");

    public int? FindInteger(string name, int from = int.MinValue, int to = int.MaxValue) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= from && number <= to ? number
        : throw Wrong(name, Range(from, to));

    public int Integer(string name, int from = int.MinValue, int to = int.MaxValue) => FindInteger(name, from, to) ?? throw Wrong(name, Range(from, to));

    public double? FindNumber(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number
        : throw Wrong(name, "a finite number");

    public bool? FindFlag(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Wrong(name, "true or false");

    public string? FindText(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Wrong(name, "a text");

    /// <summary>One token id or a list of them; empty where the field is missing.</summary>
    public IReadOnlyList<int> Ids(string name)
    {
        JsonElement[] values = Find(name) switch
        {
            null => [],
            { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray()],
            { } single => [single],
        };
        return [.. values.Select(value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0 ? id : throw Wrong(name, "a token id or a list of token ids"))];
    }

    public EngineException Wrong(string name, string accepted) =>
        EngineException.InFile(File, $"{Parent}{name} is {(Find(name) is { } value ? value.ToString() : "missing")}; accepted is {accepted}.");

    private static string Range(int from, int to) => (from, to) switch
    {
        (int.MinValue, int.MaxValue) => "an integer",
        (_, int.MaxValue) => string.Create(CultureInfo.InvariantCulture, $"an integer of at least {from}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"an integer from {from} to {to}"),
    };
}
