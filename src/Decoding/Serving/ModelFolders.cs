using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Serving;

/// <summary>The model folders that may be served.</summary>
/// <param name="Root">The folder with catalog.json, its templates and patches. It need not have any.</param>
/// <param name="Folders">Paths of the model folders by the names under which entries and requests know them.</param>
public sealed record ModelFolders(string Root, IReadOnlyDictionary<string, string> Folders)
{
    /// <summary>A folder that holds model folders in the layout of onnxruntime-genai or Optimum, or is one.</summary>
    /// <exception cref="EngineException">InvalidCatalog: there is no such folder.</exception>
    public static ModelFolders Of(string root)
    {
        if (!Directory.Exists(root))
        {
            throw new EngineException(EngineError.InvalidCatalog, $"The models folder {root} does not exist.");
        }

        IEnumerable<string> folders = IsModel(root) ? [root] : Directory.EnumerateDirectories(root).Where(IsModel);
        return new(root, folders.ToDictionary(folder => new DirectoryInfo(folder).Name));
    }

    /// <summary>These folders and others.</summary>
    /// <exception cref="EngineException">InvalidCatalog: both have a model of one name.</exception>
    public ModelFolders With(IReadOnlyDictionary<string, string> others) => others.Keys.FirstOrDefault(Folders.ContainsKey) is { } twice
        ? throw new EngineException(EngineError.InvalidCatalog, $"{Folders[twice]} and {others[twice]} would both be served as '{twice}'; rename one.", twice)
        : this with { Folders = Folders.Concat(others).ToDictionary() };

    private static bool IsModel(string folder) => File.Exists(Path.Combine(folder, FileNames.GenAiConfig)) || GenAiConfig.IsPlainExport(folder);
}
