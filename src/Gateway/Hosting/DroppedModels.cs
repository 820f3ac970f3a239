using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.CommandLine;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Models that a user drops into the models folder as they were published, or names as the models folder: imported once, and served under their names.</summary>
internal static class DroppedModels
{
    /// <summary>The model folders of a path, after the import of what is not imported yet.</summary>
    /// <param name="path">A models folder, a Hugging Face folder, or a GGUF file.</param>
    /// <param name="output">Receives what is imported, and how far it is.</param>
    /// <exception cref="EngineException">There is no such path; or as <see cref="ModelImport.Into"/>.</exception>
    public static ModelFolders Prepare(string path, ImportOptions options, TextWriter output)
    {
        if (Directory.Exists(path) && ModelFolders.Of(path) is var folders && folders.Folders.Values.Contains(path))
        {
            return folders;
        }

        IReadOnlyList<ModelSource> sources = ModelSource.Find(path);
        Dictionary<string, string> imported = sources.ToDictionary(source => source.Name, source => Import(source, options, output));
        return sources is [var single] && single.Path == path
            ? new(Path.GetDirectoryName(imported[single.Name])!, imported)
            : ModelFolders.Of(path).With(imported);
    }

    /// <summary>A model's name and, if it was imported, where it came from, its context and what its chat template is for.</summary>
    public static string Describe(ServedModel model) => model.Origin is not { } origin
        ? model.Name
        : $"{model.Name} ({string.Join(", ", new[]
        {
            $"from {Path.GetFileName(origin.Source)}", origin.Family, origin.Precision, origin.Licence is { } licence ? $"licence {licence}" : "no licence named",
            $"context {model.ContextLength}", model.HasChatTemplate ? null : "no chat template", origin.NotServed.Count > 0 ? $"not served: {string.Join(", ", origin.NotServed)}" : null,
        }.OfType<string>())})";

    private static string Import(ModelSource source, ImportOptions options, TextWriter output)
    {
        using ImportProgress progress = new(source.Name, output);
        return ModelImport.IntoCache(source, options.Folder ?? ModelImport.CacheFor(source), options.Precision, progress);
    }
}
