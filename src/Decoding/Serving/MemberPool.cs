using System.Collections.Immutable;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>Loads each model folder once, and each merge of one with patches, when the first served model needs it. One thread at a time may load or release; any may see what is loaded.</summary>
/// <param name="folders">Paths of the model folders there are, by name.</param>
internal sealed class MemberPool(IDictionary<string, string> folders, PatchStore shelf, CatalogCheck check, EngineOptions options) : IDisposable
{
    private readonly HashSet<string> own = [.. folders.Keys];
    private readonly Dictionary<string, ServedPatch> patches = [];
    private readonly HashSet<string> uploaded = [];
    private volatile ImmutableDictionary<string, CatalogMember> loaded = ImmutableDictionary<string, CatalogMember>.Empty;

    /// <summary>Renders the templates of folders that were made known at run time; null to render them as all others.</summary>
    public ITemplateRenderer? Templates { get; set; }

    /// <summary>What all members share.</summary>
    public KeyValueMemory Memory { get; } = new(options.KeyValueBytes);

    /// <summary>The patches that are in memory.</summary>
    public ResidentPatches Resident { get; } = new(options.PatchBytes);

    public EngineOptions Options => options;

    public PatchStore Shelf => shelf;

    /// <summary>Whether patches that cannot run as rows are merged into a model of their own. While others run it would take too much time and memory.</summary>
    public bool MayMerge { get; set; } = true;

    public IReadOnlyList<CatalogMember> Loaded => [.. loaded.Values];

    /// <summary>By the names of their folders: members as they are there, without merges and remote models.</summary>
    public IReadOnlyDictionary<string, CatalogMember> LoadedFolders =>
        loaded.Where(entry => entry.Value.Model is OnnxLanguageModel && entry.Value.Name == entry.Key).ToDictionary();

    /// <summary>Whether the models folder has a model or a patch of that name.</summary>
    public bool Owns(string name) => own.Contains(name) || shelf.Owns(name);

    /// <summary>Makes a folder known, or unknown where its path is null.</summary>
    public void SetFolder(string name, string? path)
    {
        if (path is null)
        {
            folders.Remove(name);
        }
        else
        {
            folders[name] = path;
            uploaded.Add(path);
        }
    }

    /// <summary>The member is no longer the pool's, and the caller's to dispose.</summary>
    public void Release(CatalogMember member)
    {
        foreach (string name in loaded.Where(entry => entry.Value == member).Select(entry => entry.Key).ToArray())
        {
            loaded = loaded.Remove(name);
        }

        foreach (string key in patches.Where(entry => entry.Value.Model == member.Model).Select(entry => entry.Key).ToArray())
        {
            Forget(patches[key]);
        }
    }

    /// <summary>A patch is not served any more under one of its names.</summary>
    public void Forget(ServedPatch patch)
    {
        patch.Forget();
        patches.Remove(patch.Name);
    }

    /// <param name="label">The entry that names the folder, for messages.</param>
    public CatalogMember Get(string name, string label)
    {
        if (!loaded.TryGetValue(name, out CatalogMember? member))
        {
            member = Guarded(name, label, () => CatalogMember.Load(Folder(name, label), options, Memory, templates: WorkerOf(Folder(name, label)))) with { Name = name };
            loaded = loaded.SetItem(name, member);
        }

        return member;
    }

    /// <summary>
    /// A model folder with patches: the folder's own member and what its sequences add to the weights; or, where the graph's linear nodes are
    /// not known, a member of its own, merged, and nothing to add.
    /// </summary>
    public (CatalogMember Member, ServedPatch? Patch) Get(string name, string label, IReadOnlyList<PatchEntry> entries)
    {
        CatalogMember plain = Get(name, label);
        if (entries.Count == 0)
        {
            return (plain, null);
        }

        string merge = MergedModel.Name(name, entries.Select(entry => (entry.Patch!, PatchStore.Weight(entry))));
        string? hash = shelf.HashOf(entries);
        string key = hash is null ? merge : $"{merge}: {hash}";
        if (patches.TryGetValue(key, out ServedPatch? known))
        {
            return (plain, known);
        }

        return loaded.TryGetValue(key, out CatalogMember? merged) ? (merged, null) : Guarded(merge, label, () => Load(key, hash, plain, entries, label));
    }

    /// <summary>The member of that key, which is loaded once.</summary>
    public CatalogMember Get(RemoteEntry remote, RemoteLoader loader) =>
        loaded.TryGetValue(remote.Key, out CatalogMember? member) ? member : Add(remote.Key, loader.Load(remote));

    /// <summary>Disposes of what the members share. Their models are the ensemble's.</summary>
    public void Dispose()
    {
        Resident.Dispose();
        Memory.Dispose();
        foreach (CatalogMember member in loaded.Values)
        {
            member.Tokenizer.Dispose();
        }
    }

    private CatalogMember Add(string key, CatalogMember member)
    {
        loaded = loaded.SetItem(key, member);
        return member;
    }

    private (CatalogMember Member, ServedPatch? Patch) Load(string key, string? hash, CatalogMember plain, IReadOnlyList<PatchEntry> entries, string label)
    {
        if (plain.Model is not OnnxLanguageModel model)
        {
            throw check.Wrong(label, $"patches is given; accepted only for a model folder, and '{plain.Model.Info.Name}' runs elsewhere.");
        }

        // What nobody else can change has been checked when it came, and is read when it is used.
        PatchSum? sum = hash is null ? new(shelf.Get(entries, label)) : null;
        if (sum is not null && MayMerge && model.UnknownTarget(sum) is not null)
        {
            return (Add(key, CatalogMember.Load(plain.Folder, options, Memory, sum.Patches, WorkerOf(plain.Folder))), null);
        }

        ServedPatch patch = new(key, hash ?? sum!.Hash, model, Resident, () => Read(entries, label, sum?.Hash));
        if (sum is not null)
        {
            patch.Load();
        }

        return (plain, patches[key] = patch);
    }

    private PatchSum Read(IReadOnlyList<PatchEntry> entries, string label, string? hash)
    {
        PatchSum sum = new(shelf.Get(entries, label));
        return hash is null || sum.Hash == hash
            ? sum
            : throw new EngineException(EngineError.InvalidModelFolder, $"{label}: the files of {sum.Name} are not what they were when they were first read; start again to use them.", label);
    }

    private string Folder(string name, string label) => folders.TryGetValue(name, out string? folder)
        ? folder
        : throw check.Wrong(label, $"there is no model folder '{name}' with a {GenAiConfig.FileName}; there are: {Listing.Of(folders.Keys)}.");

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

    private ITemplateRenderer? WorkerOf(string folder) => uploaded.Contains(folder) ? Templates : null;
}
