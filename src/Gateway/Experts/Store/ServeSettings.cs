using System.Runtime.InteropServices;
using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>How an operator wants an expert served.</summary>
public sealed record ServeSettings
{
    /// <summary>The name that clients ask for; null means the expert's id.</summary>
    public string? Name { get; init; }

    /// <summary>The model folder that a patch is added to; null means the one that it was trained on.</summary>
    public string? Base { get; init; }

    /// <summary>Weight of the patch. Default 1.</summary>
    public double? Weight { get; init; }

    /// <summary>Weights of other patches that are added to the base, by id or name.</summary>
    public IReadOnlyDictionary<string, double>? Patches { get; init; }

    /// <summary>Serves a patch even if it was trained on other weights and has passed no evaluation.</summary>
    public bool Ungated { get; init; }

    /// <summary>A whole entry as in catalog.json, such as a fusion with the expert. It replaces all other settings but <see cref="Ungated"/>.</summary>
    public JsonElement? Entry { get; init; }

    /// <param name="usualBase">Finds the base of a patch if none is given.</param>
    /// <exception cref="EngineException">InvalidValue, naming the field.</exception>
    internal ServedModelEntry ToEntry(ExpertRecord expert, Func<string> usualBase)
    {
        if (Entry is { } whole)
        {
            return (Name, Base, Weight, Patches) is (null, null, null, null)
                ? Read(whole)
                : throw new EngineException(EngineError.InvalidValue, "entry is given beside name, base, weight or patches; accepted is one or the others.", "entry");
        }

        if (expert.Kind == ExpertKind.Model)
        {
            return (Base, Weight, Patches) is (null, null, null)
                ? new() { Name = Name ?? expert.Id, Base = new(expert.Id), Description = $"{expert.Id} alone" }
                : throw new EngineException(EngineError.InvalidValue, $"base, weight or patches is given, and '{expert.Id}' is a model; accepted are name, or entry for more.", "base");
        }

        string folder = Base ?? usualBase();
        return new()
        {
            Name = Name ?? expert.Id,
            Base = new(folder),
            Description = $"{folder} with {expert.Id}",
            Patches = [new() { Patch = expert.Id, Weight = Weight }, .. (Patches ?? new Dictionary<string, double>()).Select(patch => new PatchEntry { Patch = patch.Key, Weight = patch.Value })],
        };
    }

    private static ServedModelEntry Read(JsonElement entry)
    {
        try
        {
            ServedModelEntry read = entry.Deserialize(CatalogJson.Default.ServedModelEntry) ?? throw new EngineException(EngineError.InvalidValue, "entry is null; accepted is an object.", "entry");

            // A remote base sends a key from the server's environment to any address. Only the writer of catalog.json may decide that.
            return read.Base?.Remote is null
                ? read
                : throw new EngineException(EngineError.InvalidValue, "entry.base is an object, for a base elsewhere; accepted at run time is the name of a model folder.", "entry.base");
        }
        catch (JsonException error)
        {
            throw new EngineException(EngineError.InvalidValue, $"entry, {JsonProblem.Reason(error, JsonMarshal.GetRawUtf8Value(entry), CatalogJson.Default.ServedModelEntry)}", "entry", error);
        }
    }
}
