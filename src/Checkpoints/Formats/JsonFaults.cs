using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Faults of a JSON text that its grammar allows. Readers disagree about them, so such a text does not have one meaning.</summary>
internal static class JsonFaults
{
    /// <summary>Finds a name that an object has twice. Readers take the first value, the last, or both.</summary>
    /// <param name="path">The place of <paramref name="json"/>; empty for the whole text.</param>
    /// <param name="reads">Which names of <paramref name="json"/> itself are read. The others may hold anything. Null for all names.</param>
    /// <returns>The place, such as <c>fusion.alpha</c>, and the second value; null if every name stands there once.</returns>
    /// <exception cref="InvalidOperationException">A name is no Unicode text.</exception>
    public static (string Place, JsonElement Value)? RepeatedName(JsonElement json, string path, Func<string, bool>? reads = null)
    {
        HashSet<string> names = [];
        foreach ((string? name, string place, JsonElement value) in Parts(json, path))
        {
            if (name is not null && reads?.Invoke(name) == false)
            {
                continue;
            }

            if (name is not null && !names.Add(name))
            {
                return (place, value);
            }

            if (RepeatedName(value, place) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>Finds a value or a name with bytes that are not UTF-8, or with half of a surrogate pair.</summary>
    /// <param name="path">The place of <paramref name="json"/>; empty for the whole text.</param>
    /// <returns>The place of the value, or of the object that has the name; null if there is none.</returns>
    public static string? BrokenText(JsonElement json, string path)
    {
        try
        {
            if (json.ValueKind == JsonValueKind.String)
            {
                json.GetString();
            }

            return Parts(json, path).Select(part => BrokenText(part.Value, part.Place)).FirstOrDefault(broken => broken is not null);
        }
        catch (InvalidOperationException)
        {
            return path;
        }
    }

    /// <summary>The values of an object with their names, or the items of an array except numbers, which have no faults: prompts are long arrays of token ids.</summary>
    private static IEnumerable<(string? Name, string Place, JsonElement Value)> Parts(JsonElement json, string path) => json.ValueKind switch
    {
        JsonValueKind.Object => json.EnumerateObject().Select(property => ((string?)property.Name, path.Length == 0 ? property.Name : $"{path}.{property.Name}", property.Value)),
        JsonValueKind.Array => json.EnumerateArray().Index().Where(item => item.Item.ValueKind != JsonValueKind.Number).Select(item => ((string?)null, $"{path}[{item.Index}]", item.Item)),
        _ => [],
    };
}
