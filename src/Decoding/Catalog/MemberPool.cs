using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Loads each model folder once, and each merge of one with patches, when the first served model needs it.</summary>
/// <param name="folders">Paths of the model folders there are, by name.</param>
internal sealed class MemberPool(IReadOnlyDictionary<string, string> folders, PatchShelf shelf, CatalogCheck check, EngineOptions options)
{
    private readonly Dictionary<string, CatalogMember> loaded = [];

    public IReadOnlyList<ILanguageModel> Models => [.. loaded.Values.Select(member => member.Model)];

    /// <param name="label">The entry that names the folder, for messages.</param>
    /// <param name="patches">What is merged into the folder's weights; null for nothing.</param>
    public CatalogMember Get(string name, string label, IReadOnlyList<PatchEntry>? patches = null)
    {
        patches ??= [];
        string merge = MergedModel.Name(name, patches.Select(entry => (entry.Patch!, entry.Weight ?? BoundedWeight.UsualDefault)));
        if (loaded.TryGetValue(merge, out CatalogMember? member))
        {
            return member;
        }

        if (!folders.TryGetValue(name, out string? folder))
        {
            throw check.Wrong(label, $"there is no model folder '{name}' with a {GenAiConfig.FileName}; there are: {string.Join(", ", folders.Keys)}.");
        }

        try
        {
            return loaded[merge] = CatalogMember.Load(folder, shelf.Get(patches, label), options);
        }
        catch (Exception error) when (error is not EngineException { Error: EngineError.InvalidCatalog })
        {
            // Whatever a folder makes a library throw, the operator must learn which folder it was.
            throw new EngineException(
                error is EngineException { Error: var kind } ? kind : EngineError.InvalidModelFolder, $"{label}: model folder '{merge}': {error.Message}", label, error);
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
