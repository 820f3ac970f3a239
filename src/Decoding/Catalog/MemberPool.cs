using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Models.KeyValues;
using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Loads each model folder once, and each merge of one with patches, when the first served model needs it.</summary>
/// <param name="folders">Paths of the model folders there are, by name.</param>
internal sealed class MemberPool(IReadOnlyDictionary<string, string> folders, PatchShelf shelf, CatalogCheck check, EngineOptions options)
{
    private readonly Dictionary<string, CatalogMember> loaded = [];
    private readonly Dictionary<string, PatchSum> sums = [];

    /// <summary>What all members share.</summary>
    public KeyValueMemory Memory { get; } = new(options.KeyValueBytes);

    public IReadOnlyList<ILanguageModel> Models => [.. loaded.Values.Select(member => member.Model)];

    /// <param name="label">The entry that names the folder, for messages.</param>
    public CatalogMember Get(string name, string label)
    {
        if (!loaded.TryGetValue(name, out CatalogMember? member))
        {
            member = Guarded(name, label, () => CatalogMember.Load(Folder(name, label), options, Memory));
            loaded[name] = member;
        }

        return member;
    }

    /// <summary>
    /// A model folder with patches: the folder's own member and what its sequences add to the weights; or, where the graph's linear nodes are
    /// not known, a member of its own, merged, and nothing to add.
    /// </summary>
    public (CatalogMember Member, PatchSum? Patch) Get(string name, string label, IReadOnlyList<PatchEntry> patches)
    {
        CatalogMember plain = Get(name, label);
        if (patches.Count == 0)
        {
            return (plain, null);
        }

        string merge = MergedModel.Name(name, patches.Select(entry => (entry.Patch!, entry.Weight ?? BoundedWeight.UsualDefault)));
        if (sums.TryGetValue(merge, out PatchSum? known))
        {
            return (plain, known);
        }

        return loaded.TryGetValue(merge, out CatalogMember? merged) ? (merged, null) : Guarded(merge, label, () => Load(merge, plain, shelf.Get(patches, label)));
    }

    private (CatalogMember Member, PatchSum? Patch) Load(string merge, CatalogMember plain, IReadOnlyList<WeightedPatch> patches)
    {
        PatchSum sum = new(patches);
        if (plain.Model is OnnxLanguageModel model && model.UnknownTarget(sum) is null)
        {
            model.Prepare(sum);
            return (plain, sums[merge] = sum);
        }

        return (loaded[merge] = CatalogMember.Load(plain.Folder, options, Memory, patches), null);
    }

    private string Folder(string name, string label) => folders.TryGetValue(name, out string? folder)
        ? folder
        : throw check.Wrong(label, $"there is no model folder '{name}' with a {GenAiConfig.FileName}; there are: {string.Join(", ", folders.Keys)}.");

    /// <summary>Whatever a folder makes a library throw, the operator must learn which folder it was.</summary>
    private static T Guarded<T>(string name, string label, Func<T> load)
    {
        try
        {
            return load();
        }
        catch (Exception error) when (error is not EngineException { Error: EngineError.InvalidCatalog })
        {
            throw new EngineException(
                error is EngineException { Error: var kind } ? kind : EngineError.InvalidModelFolder, $"{label}: model folder '{name}': {error.Message}", label, error);
        }
    }

    /// <summary>The member of that key, which is loaded once.</summary>
    public CatalogMember Get(RemoteEntry remote, RemoteLoader loader) =>
        loaded.TryGetValue(remote.Key, out CatalogMember? member) ? member : loaded[remote.Key] = loader.Load(remote);

    public void DisposeTokenizers()
    {
        foreach (CatalogMember member in loaded.Values)
        {
            member.Tokenizer.Dispose();
        }
    }

    public void DisposeModels()
    {
        foreach (CatalogMember member in loaded.Values)
        {
            member.Model.Dispose();
        }
    }
}
