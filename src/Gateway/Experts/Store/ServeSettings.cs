using System.Runtime.InteropServices;
using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>How an expert is to be served.</summary>
public sealed record ServeSettings
{
    /// <summary>What clients ask for; null for the expert's id.</summary>
    public string? Name { get; init; }

    /// <summary>The model folder that a patch is added to; null for the one that it was trained on.</summary>
    public string? Base { get; init; }

    /// <summary>Of the patch. Default 1.</summary>
    public double? Weight { get; init; }

    /// <summary>What is added to the base beside it, by id or name, with weights.</summary>
    public IReadOnlyDictionary<string, double>? Patches { get; init; }

    /// <summary>Also where a patch was trained on other weights and has passed no evaluation.</summary>
    public bool Ungated { get; init; }

    /// <summary>Instead of all but <see cref="Ungated"/>: a whole entry as it could stand in catalog.json, such as a fusion that the expert takes part in.</summary>
    public JsonElement? Entry { get; init; }

    /// <param name="usualBase">Of a patch, where none is given.</param>
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

            // It would send what the server's environment holds wherever an entry says; catalog.json is written by who may read that.
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
