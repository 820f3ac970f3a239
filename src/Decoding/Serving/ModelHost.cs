using System.Collections.Immutable;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// Loads the models of a models folder and keeps them in memory: the ensemble that the scheduler runs, the memory that all members share, and the
/// names that are served. <see cref="HotServing"/> adds and removes models at run time.
/// </summary>
public sealed class ModelHost : IDisposable
{
    private readonly LoadedModels members;
    private readonly ServedModelBuilder builder;
    private readonly FusedModel ensemble;
    private volatile ServedModels served;
    private ImmutableHashSet<LoadedModel> arrived = [];

    private ModelHost(IReadOnlyList<ServedModel> models, LoadedModels members, ServedModelBuilder builder)
    {
        this.members = members;
        this.builder = builder;
        served = new(models);
        ensemble = new("ensemble", [.. members.Loaded.Select(member => member.Model)]);
    }

    /// <summary>What is served now. Immutable: a change at run time replaces it.</summary>
    public ServedModels Served => served;

    public IReadOnlyList<ServedModel> Models => served.All;

    /// <summary>The memory for the keys and values of all members.</summary>
    public KeyValueMemory Memory => members.Memory;

    /// <summary>The patches that are in memory.</summary>
    public ResidentPatches Patches => members.Resident;

    /// <summary>The ensemble over all members: what the scheduler runs.</summary>
    public ILanguageModel Ensemble => ensemble;

    /// <summary>
    /// Reads catalog.json, if there is one, and loads every model folder that a served model needs. A folder that is not the base of an entry is served
    /// under its own name, without experts. If the models folder is itself a model, it is served alone.
    /// </summary>
    /// <param name="uploads">What entries at run time may name beside the models folder; null for nothing.</param>
    /// <exception cref="EngineException">InvalidCatalog or InvalidModelFolder; the message names file and entry.</exception>
    public static ModelHost Load(string modelsFolder, EngineOptions options, IUploadedExperts? uploads = null) =>
        Load(ModelFolders.Of(modelsFolder), options, uploads);

    /// <summary>As the other overload, for model folders that need not lie in one folder.</summary>
    public static ModelHost Load(ModelFolders models, EngineOptions options, IUploadedExperts? uploads = null)
    {
        string modelsFolder = models.Root;
        EntrySource source = EntrySource.Catalog(Path.Combine(modelsFolder, FileNames.Catalog));
        uploads ??= new NoUploads();
        IReadOnlyList<ServedModelEntry> written = CatalogFile.Read(modelsFolder).ServedModels ?? [];
        CatalogCheck.Entries(source, written);
        SortedDictionary<string, string> folders = new(models.Folders.ToDictionary(), StringComparer.Ordinal);
        IReadOnlyList<ServedModelEntry> entries = [.. written, .. Unwritten(folders.Keys, written)];
        if (entries.Count == 0)
        {
            throw new EngineException(
                EngineError.InvalidCatalog,
                $"{modelsFolder} holds no {FileNames.Catalog} and no folder with a {FileNames.GenAiConfig}, so there is nothing to serve.");
        }

        OnnxEnvironment.EnsureCreated(options.Threads);
        LoadedModels members = new(folders, new PatchStore(modelsFolder, uploads), uploads, options);
        try
        {
            ServedModelBuilder builder = new(modelsFolder, members);
            return new ModelHost([.. entries.Select(entry => builder.Build(entry, source))], members, builder);
        }
        catch
        {
            foreach (LoadedModel member in members.Loaded)
            {
                member.Model.Dispose();
            }

            members.Dispose();
            throw;
        }
    }

    /// <summary>Reads the files of uploaded models that an entry needs and that are not loaded yet. It may take long, and any number of threads may call it.</summary>
    /// <returns>The number of uploads.</returns>
    /// <exception cref="EngineException">DamagedExpert: a file is not what was uploaded.</exception>
    internal int VerifyUploads(ServedModelEntry entry) => members.VerifyUploads(entry.Folders);

    /// <summary>Makes a model of an entry, of which <see cref="VerifyUploads"/> has read the uploads, and loads what is missing; one at a time. No request sees it yet.</summary>
    /// <returns>The model, and the members that were loaded for it: <see cref="Join"/> or <see cref="Discard"/> each.</returns>
    /// <exception cref="EngineException">InvalidValue: the entry is wrong; InvalidModelFolder: what it names is.</exception>
    internal (ServedModel Model, IReadOnlyList<LoadedModel> Arrived) Build(ServedModelEntry entry)
    {
        IReadOnlyList<LoadedModel> before = members.Loaded;
        try
        {
            CatalogCheck.Entries(EntrySource.Request, [entry]);
            ServedModel model = builder.Build(entry, EntrySource.Request);
            return (model, [.. members.Loaded.Except(before)]);
        }
        catch
        {
            members.Loaded.Except(before).ToList().ForEach(Discard);
            throw;
        }
    }

    /// <summary>Disposes of a loaded member that was not joined.</summary>
    internal void Discard(LoadedModel member)
    {
        members.Release(member);
        member.Model.Dispose();
        member.Tokenizer.Dispose();
    }

    /// <summary>Adds a loaded member to the ensemble.</summary>
    internal void Join(LoadedModel member)
    {
        arrived = arrived.Add(member);
        ensemble.Add(member.Model);
    }

    /// <summary>Lets go of the patch of a retired name.</summary>
    internal void Forget(ServedPatch patch) => members.Forget(patch);

    /// <summary>Whether a member was loaded at run time.</summary>
    internal bool HasArrived(LoadedModel member) => arrived.Contains(member);

    /// <summary>Disposes of a member that was loaded at run time and is not used any more.</summary>
    internal void Leave(LoadedModel member)
    {
        arrived = arrived.Remove(member);
        members.Release(member);
        ensemble.Remove(member.Model);
        member.Tokenizer.Dispose();
    }

    /// <summary>The loaded model folders, by name.</summary>
    internal IReadOnlyDictionary<string, LoadedModel> LoadedFolders => members.LoadedFolders;

    internal void Publish(ServedModels next) => served = next;

    /// <summary>Whether the models folder has a model or a patch of that name.</summary>
    internal bool Owns(string name) => members.Owns(name);

    /// <exception cref="EngineException">UnknownModel; the message lists the names that are served.</exception>
    public ServedModel Get(string name) => served.Get(name);

    public void Dispose()
    {
        Ensemble.Dispose();
        members.Dispose();
    }

    private static IEnumerable<ServedModelEntry> Unwritten(IEnumerable<string> folders, IReadOnlyList<ServedModelEntry> written) =>
        folders
            .Where(folder => written.All(entry => entry.Base?.Folder != folder && entry.Name != folder))
            .Select(folder => new ServedModelEntry { Name = folder, Base = new(folder), Description = $"{folder} alone" });
}
