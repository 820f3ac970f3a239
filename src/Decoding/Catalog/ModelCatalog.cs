using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Models.KeyValues;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Everything that a models folder serves, loaded and checked. Immutable.</summary>
public sealed class ModelCatalog : IDisposable
{
    private readonly MemberPool members;

    private ModelCatalog(IReadOnlyList<ServedModel> models, MemberPool members)
    {
        this.members = members;
        Models = models;
        Ensemble = new FusedModel("ensemble", members.Models);
    }

    public IReadOnlyList<ServedModel> Models { get; }

    /// <summary>The memory for the keys and values of all members.</summary>
    public KeyValueMemory Memory => members.Memory;

    /// <summary>The ensemble over all members: what the scheduler runs.</summary>
    public ILanguageModel Ensemble { get; }

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
            return new ModelCatalog([.. entries.Select(builder.Build)], members);
        }
        catch
        {
            members.DisposeModels();
            members.Memory.Dispose();
            members.DisposeTokenizers();
            throw;
        }
    }

    /// <exception cref="EngineException">UnknownModel; the message lists the names there are.</exception>
    public ServedModel Get(string name) =>
        Models.FirstOrDefault(model => model.Name == name)
        ?? throw new EngineException(
            EngineError.UnknownModel,
            $"There is no model '{name}'; there are: {string.Join(", ", Models.Select(model => model.Name))}.",
            "model");

    public void Dispose()
    {
        Ensemble.Dispose();
        members.Memory.Dispose();
        members.DisposeTokenizers();
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
