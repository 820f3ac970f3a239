using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Reads JSON of an upload strictly: duplicate names and deep nesting are refused.</summary>
internal static class JsonCheck
{
    private const int MaxDepth = 32;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    /// <exception cref="EngineException">InvalidExpert, naming the file and the place.</exception>
    public static JsonDocument Read(string folder, string name)
    {
        try
        {
            return JsonDocument.Parse(JsonFile.Text(File.ReadAllBytes(Path.Combine(folder, name))) ?? throw UploadName.Refused(name, JsonFile.NotUtf8), Strict);
        }
        catch (JsonException error)
        {
            throw UploadName.Refused(name, $"cannot be read (JSON of at most {MaxDepth} levels, no name twice): {error.Message}", error);
        }
    }

    /// <summary>Every property at any depth, in the order of the file.</summary>
    public static IEnumerable<JsonProperty> Properties(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => json.EnumerateObject().SelectMany(property => Properties(property.Value).Prepend(property)),
        JsonValueKind.Array => json.EnumerateArray().SelectMany(Properties),
        _ => [],
    };
}
