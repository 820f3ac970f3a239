using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Loads each model folder once, when the first served model needs it.</summary>
/// <param name="folders">Paths of the model folders there are, by name.</param>
internal sealed class MemberPool(IReadOnlyDictionary<string, string> folders, CatalogCheck check, EngineOptions options)
{
    private readonly Dictionary<string, CatalogMember> loaded = [];

    public IReadOnlyList<ILanguageModel> Models => [.. loaded.Values.Select(member => member.Model)];

    /// <param name="label">The entry that names the folder, for messages.</param>
    public CatalogMember Get(string name, string label)
    {
        if (loaded.TryGetValue(name, out CatalogMember? member))
        {
            return member;
        }

        if (!folders.TryGetValue(name, out string? folder))
        {
            throw check.Wrong(label, $"there is no model folder '{name}' with a {GenAiConfig.FileName}; there are: {string.Join(", ", folders.Keys)}.");
        }

        try
        {
            return loaded[name] = CatalogMember.Load(folder, options);
        }
        catch (Exception error)
        {
            // Whatever a folder makes a library throw, the operator must learn which folder it was.
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
