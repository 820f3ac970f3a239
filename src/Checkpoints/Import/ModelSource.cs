using System.Globalization;
using System.Text.RegularExpressions;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Import;

/// <summary>The form of a model of others.</summary>
public enum SourceKind
{
    /// <summary>A Hugging Face folder: config.json, safetensors files and a tokenizer.</summary>
    HuggingFace,

    /// <summary>A GGUF file, or the first part of a split one.</summary>
    Gguf,
}

/// <summary>A model as others publish it, which must be imported before it can be served.</summary>
/// <param name="Name">Under which it is served: the name of the folder or file, without the ending.</param>
/// <param name="Path">The folder, or the GGUF file.</param>
public sealed partial record ModelSource(string Name, string Path, SourceKind Kind)
{
    private const string Ending = ".gguf", HubPrefix = "models--", Snapshots = "snapshots", MainRevision = "refs/main";

    /// <summary>The models of others that a path is or holds, in the order of their names. A folder in the layout of onnxruntime-genai is none of them.</summary>
    /// <param name="path">A GGUF file, a Hugging Face folder, a repository in the layout of the hub's cache, or a folder of these.</param>
    /// <exception cref="EngineException">InvalidModelFolder: there is no such path, or a file of another kind; two models have one name.</exception>
    public static IReadOnlyList<ModelSource> Find(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        if (Of(path) is { } single)
        {
            return [single];
        }

        if (!Directory.Exists(path))
        {
            throw new EngineException(
                EngineError.InvalidModelFolder, $"{path} {(File.Exists(path) ? "is no model" : "does not exist")}; accepted is a folder of models, or a file that ends with {Ending}.", path);
        }

        ModelSource[] found = [.. Directory.EnumerateFileSystemEntries(path).Select(Of).OfType<ModelSource>().OrderBy(source => source.Name, StringComparer.Ordinal)];
        return found.Zip(found.Skip(1)).FirstOrDefault(pair => pair.First.Name == pair.Second.Name) is ({ } first, { } second)
            ? throw EngineException.InFile(path, $"'{System.IO.Path.GetFileName(first.Path)}' and '{System.IO.Path.GetFileName(second.Path)}' would both be served as '{first.Name}'; rename one.")
            : found;
    }

    /// <summary>The files that decide what the import gives: all files of a folder, all parts of a split GGUF file.</summary>
    public IReadOnlyList<FileInfo> Files => Kind == SourceKind.HuggingFace
        ? [.. new DirectoryInfo(Path).GetFiles().OrderBy(file => file.Name, StringComparer.Ordinal)]
        : [.. Parts()];

    private static ModelSource? Of(string path)
    {
        if (File.Exists(path))
        {
            return path.EndsWith(Ending, StringComparison.OrdinalIgnoreCase) ? OfGguf(path) : null;
        }

        if (IsHuggingFace(path))
        {
            return new(System.IO.Path.GetFileName(path), path, SourceKind.HuggingFace);
        }

        return Snapshot(path) is { } snapshot && IsHuggingFace(snapshot) ? new(NameInHub(path), snapshot, SourceKind.HuggingFace) : null;
    }

    private static ModelSource? OfGguf(string path)
    {
        string name = System.IO.Path.GetFileNameWithoutExtension(path);
        Match part = PartName().Match(name);
        return !part.Success ? new(name, path, SourceKind.Gguf)
            : int.Parse(part.Groups["part"].ValueSpan, CultureInfo.InvariantCulture) == 1 ? new(part.Groups["name"].Value, path, SourceKind.Gguf)
            : null;
    }

    private static bool IsHuggingFace(string folder) =>
        File.Exists(System.IO.Path.Combine(folder, FileNames.Config))
        && !File.Exists(System.IO.Path.Combine(folder, FileNames.GenAiConfig))
        && !GenAiConfig.IsPlainExport(folder)
        && Directory.EnumerateFiles(folder).Any(file => file.EndsWith(".safetensors", StringComparison.Ordinal) || file.EndsWith(".bin", StringComparison.Ordinal));

    /// <summary>The snapshot of the main branch of a repository in the hub's cache, or its only snapshot; null for other folders.</summary>
    private static string? Snapshot(string folder)
    {
        string snapshots = System.IO.Path.Combine(folder, Snapshots), main = System.IO.Path.Combine(folder, MainRevision);
        return !Directory.Exists(snapshots) ? null
            : File.Exists(main) ? System.IO.Path.Combine(snapshots, File.ReadAllText(main).Trim())
            : Directory.GetDirectories(snapshots) is [string only] ? only
            : null;
    }

    private static string NameInHub(string folder)
    {
        string name = System.IO.Path.GetFileName(folder);
        return name.StartsWith(HubPrefix, StringComparison.Ordinal) ? name[(name.LastIndexOf("--", StringComparison.Ordinal) + 2)..] : name;
    }

    private IEnumerable<FileInfo> Parts()
    {
        Match first = PartName().Match(System.IO.Path.GetFileNameWithoutExtension(Path));
        return first.Success
            ? new DirectoryInfo(System.IO.Path.GetDirectoryName(Path)!).GetFiles($"{first.Groups["name"].Value}-*-of-{first.Groups["count"].Value}{System.IO.Path.GetExtension(Path)}").OrderBy(file => file.Name, StringComparer.Ordinal)
            : [new FileInfo(Path)];
    }

    [GeneratedRegex(@"^(?<name>.+)-(?<part>\d{5})-of-(?<count>\d{5})$")]
    private static partial Regex PartName();
}
