using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Models.KeyValues;
using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Everything that a models folder serves, loaded and checked, and what is served beside it at run time.</summary>
public sealed class ModelCatalog : IDisposable
{
    private readonly MemberPool members;
    private readonly ServedModelBuilder builder;
    private readonly CatalogCheck check;
    private readonly FusedModel ensemble;
    private volatile ServedModels served;

    private ModelCatalog(IReadOnlyList<ServedModel> models, MemberPool members, ServedModelBuilder builder, CatalogCheck check)
    {
        this.members = members;
        this.builder = builder;
        this.check = check;
        served = new(models);
        ensemble = new("ensemble", [.. members.Loaded.Select(member => member.Model)]);
        members.MayMerge = false;
    }

    /// <summary>What is served now.</summary>
    public ServedModels Served => served;

    public IReadOnlyList<ServedModel> Models => served.All;

    /// <summary>The memory for the keys and values of all members.</summary>
    public KeyValueMemory Memory => members.Memory;

    /// <summary>The patches that are in memory.</summary>
    public ResidentPatches Patches => members.Resident;

    /// <summary>The ensemble over all members: what the scheduler runs.</summary>
    public ILanguageModel Ensemble => ensemble;

    /// <summary>
    /// Reads catalog.json (where present) and every model folder that a served model needs. Folders that no entry has as its base are served
    /// under their own name, without experts; a folder that is itself a model is served alone.
    /// </summary>
    /// <exception cref="EngineException">InvalidCatalog or InvalidModelFolder; the message names file and entry.</exception>
    public static ModelCatalog Load(string modelsFolder, EngineOptions options)
    {
        if (!Directory.Exists(modelsFolder))
        {
            throw new EngineException(EngineError.InvalidCatalog, $"The models folder {modelsFolder} does not exist.");
        }

        var check = new CatalogCheck(Path.Combine(modelsFolder, CatalogFile.FileName));
        IReadOnlyList<ServedModelEntry> written = CatalogFile.Read(modelsFolder).ServedModels ?? [];
        check.Entries(written);
        SortedDictionary<string, string> folders = ModelFolders(modelsFolder);
        IReadOnlyList<ServedModelEntry> entries = [.. written, .. Unwritten(folders.Keys, written)];
        if (entries.Count == 0)
        {
            throw new EngineException(
                EngineError.InvalidCatalog,
                $"{modelsFolder} holds no {CatalogFile.FileName} and no folder with a {GenAiConfig.FileName}, so there is nothing to serve.");
        }

        OnnxEnvironment.EnsureCreated(options.Threads);
        var members = new MemberPool(folders, new PatchShelf(modelsFolder, check), check, options);
        try
        {
            var builder = new ServedModelBuilder(modelsFolder, check, members);
            return new ModelCatalog([.. entries.Select(builder.Build)], members, builder, check);
        }
        catch
        {
            foreach (CatalogMember member in members.Loaded)
            {
                member.Model.Dispose();
            }

            members.Dispose();
            throw;
        }
    }

    /// <exception cref="EngineException">UnknownModel; the message lists names that there are.</exception>
    public ServedModel Get(string name) => served.Get(name);

    public void Dispose()
    {
        Ensemble.Dispose();
        members.Dispose();
    }

    private static SortedDictionary<string, string> ModelFolders(string modelsFolder)
    {
        IEnumerable<string> folders = IsModel(modelsFolder) ? [modelsFolder] : Directory.EnumerateDirectories(modelsFolder).Where(IsModel);
        return new(folders.ToDictionary(folder => new DirectoryInfo(folder).Name), StringComparer.Ordinal);
    }

    private static bool IsModel(string folder) => File.Exists(Path.Combine(folder, GenAiConfig.FileName));

    private static IEnumerable<ServedModelEntry> Unwritten(IEnumerable<string> folders, IReadOnlyList<ServedModelEntry> written) =>
        folders
            .Where(folder => written.All(entry => entry.Base?.Folder != folder && entry.Name != folder))
            .Select(folder => new ServedModelEntry { Name = folder, Base = new(folder), Description = $"{folder} alone" });
}
