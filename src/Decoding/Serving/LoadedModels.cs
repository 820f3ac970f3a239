using System.Collections.Immutable;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// Loads each model folder once, and each merge of one with patches, when the first served model needs it. Only one thread at a time may load or
/// release; any thread may read what is loaded.
/// </summary>
/// <param name="folders">Paths of the folders of the models folder, by name.</param>
/// <param name="uploads">Models that entries at run time may name beside these.</param>
internal sealed class LoadedModels(
    IReadOnlyDictionary<string, string> folders, PatchStore patchStore, IUploadedExperts uploads, EngineOptions options) : IDisposable
{
    private readonly Dictionary<string, ServedPatch> patches = [];
    private volatile ImmutableDictionary<string, LoadedModel> loaded = ImmutableDictionary<string, LoadedModel>.Empty;

    /// <summary>The memory for keys and values, which all members share.</summary>
    public KeyValueMemory Memory { get; } = new(options.KeyValueBytes);

    /// <summary>The patches that are in memory.</summary>
    public ResidentPatches Resident { get; } = new(options.PatchBytes);

    public EngineOptions Options => options;

    public IReadOnlyList<LoadedModel> Loaded => [.. loaded.Values];

    /// <summary>The loaded model folders by name, without merges and remote models.</summary>
    public IReadOnlyDictionary<string, LoadedModel> LoadedFolders =>
        loaded.Where(entry => entry.Value.Model is OnnxLanguageModel && entry.Value.Name == entry.Key).ToDictionary();

    /// <summary>Whether the models folder has a model or a patch of that name.</summary>
    public bool Owns(string name) => folders.ContainsKey(name) || patchStore.Owns(name);

    /// <summary>Reads the files of the uploaded models among these names that are not loaded yet. Any thread may call it.</summary>
    /// <returns>The number of uploads.</returns>
    /// <exception cref="EngineException">DamagedExpert: a file is not what was uploaded.</exception>
    public int VerifyUploads(IEnumerable<string> names)
    {
        IUploadedExpert[] found = [.. names.Where(name => !folders.ContainsKey(name) && !loaded.ContainsKey(name)).Select(uploads.FindModel).OfType<IUploadedExpert>()];
        Array.ForEach(found, upload => upload.Verify());
        return found.Length;
    }

    /// <summary>Removes a member from the pool. The caller disposes of it.</summary>
    public void Release(LoadedModel member)
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

    /// <summary>Lets go of a patch that a retired name used. Another name that uses it loads it again.</summary>
    public void Forget(ServedPatch patch)
    {
        patch.Forget();
        patches.Remove(patch.Name);
    }

    /// <param name="label">The entry that names the folder.</param>
    public LoadedModel Get(string name, EntryLabel label)
    {
        if (loaded.TryGetValue(name, out LoadedModel? member))
        {
            return member;
        }

        string folder = Find(name, label);
        return Add(name, Guarded(name, label, () => LoadedModel.Load(folder, options, Memory)) with { Name = name });
    }

    /// <summary>
    /// A model folder with patches: the folder's own member and what its sequences add to the weights. At the start, a patch that needs graph nodes
    /// that are not known for certain is merged instead: then the member is one of its own, and there is nothing to add.
    /// </summary>
    public (LoadedModel Member, ServedPatch? Patch) Get(string name, EntryLabel label, IReadOnlyList<PatchEntry> entries)
    {
        LoadedModel plain = Get(name, label);
        if (entries.Count == 0)
        {
            return (plain, null);
        }

        if (plain.Model is not OnnxLanguageModel model)
        {
            throw label.Wrong($"patches is given; accepted only for a model folder, and '{plain.Model.Info.Name}' runs elsewhere.");
        }

        FoundPatches found = patchStore.Find(entries, label);
        string merge = MergedModel.Name(name, found.All.Select(patch => (patch.Name, patch.Weight)));
        string key = found.Hash is null ? merge : $"{merge}: {found.Hash}";
        if (patches.TryGetValue(key, out ServedPatch? known))
        {
            return (plain, known);
        }

        return loaded.TryGetValue(key, out LoadedModel? merged) ? (merged, null) : Guarded(merge, label, () => Load(key, found, plain, model, label));
    }

    /// <summary>The member of a remote base. Equal entries share one.</summary>
    public LoadedModel Get(RemoteEntry remote, RemoteLoader loader) =>
        loaded.TryGetValue(remote.Key, out LoadedModel? member) ? member : Add(remote.Key, loader.Load(remote));

    /// <summary>Disposes of what the members share. The ensemble disposes of their models.</summary>
    public void Dispose()
    {
        Resident.Dispose();
        Memory.Dispose();
        foreach (LoadedModel member in loaded.Values)
        {
            member.Tokenizer.Dispose();
        }
    }

    private LoadedModel Add(string key, LoadedModel member)
    {
        loaded = loaded.SetItem(key, member);
        return member;
    }

    private (LoadedModel Member, ServedPatch? Patch) Load(string key, FoundPatches found, LoadedModel plain, OnnxLanguageModel model, EntryLabel label)
    {
        // Only this server can change uploads. They were checked when they came, and are read when a request needs them.
        PatchSum? sum = found.Hash is null ? found.Read() : null;
        if (sum is not null && label.Source.IsAtStart && model.UnknownTarget(sum) is not null)
        {
            return (Add(key, LoadedModel.Load(plain.Folder, options, Memory, sum.Patches)), null);
        }

        ServedPatch patch = new(key, found.Hash ?? sum!.Hash, model, Resident, () => Read(found, label, sum?.Hash));
        if (sum is not null)
        {
            patch.Load();
        }

        return (plain, patches[key] = patch);
    }

    private static PatchSum Read(FoundPatches found, EntryLabel label, string? hash)
    {
        PatchSum sum = found.Read();
        return hash is null || sum.Hash == hash
            ? sum
            : throw new EngineException(EngineError.InvalidModelFolder, $"{label}: the files of {sum.Name} are not what they were when they were first read; start again to use them.", label.Name);
    }

    private string Find(string name, EntryLabel label)
    {
        if (folders.TryGetValue(name, out string? folder))
        {
            return folder;
        }

        if (!label.Source.IsAtStart && uploads.FindModel(name) is { } upload)
        {
            return upload.Folder;
        }

        throw label.Wrong($"there is no model folder '{name}' with a {FileNames.GenAiConfig}; there are: {Listing.Of(folders.Keys)}.");
    }

    /// <summary>Names the folder in every error that loading it causes, whatever its kind.</summary>
    private static T Guarded<T>(string name, EntryLabel label, Func<T> load)
    {
        try
        {
            return load();
        }
        catch (Exception error)
        {
            throw new EngineException(
                error is EngineException { Error: var kind } ? kind : EngineError.InvalidModelFolder, $"{label}: model folder '{name}': {error.Message}", label.Name, error);
        }
    }
}
