using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Import;

/// <summary>Imports models of others: converts each once into a folder that can be served, and keeps that folder while the source does not change.</summary>
/// <remarks>
/// An import is written beside its place and moved there when it is complete, so a process that is killed leaves no half model that could be served. Two
/// processes that import the same model wait for each other. The source is only read.
/// </remarks>
public static class ModelImport
{
    /// <summary>The default precision.</summary>
    public const string UsualPrecision = "fp32";

    private const string CacheName = ".proxytune", ModelCard = "README.md", Partial = ".partial", Old = ".old";

    // The share of the work before the hashes of the source's files.
    private const double Converted = 0.9;

    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(200);

    /// <summary>The accepted precisions.</summary>
    public static IReadOnlyList<string> Precisions { get; } = [UsualPrecision, "int8", "int4"];

    /// <summary>The folder for a source's imports: <c>.proxytune</c> beside it, or a folder of the user's where that cannot be written.</summary>
    /// <param name="userCache">The user's folder; null for <c>proxytune</c> in the system's place for caches.</param>
    public static string CacheFor(ModelSource source, string? userCache = null)
    {
        string beside = Path.Combine(Path.GetDirectoryName(source.Path)!, CacheName);
        try
        {
            Directory.CreateDirectory(beside);
            string probe = Path.Combine(beside, $".{Guid.NewGuid():N}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return beside;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            userCache ??= Path.Combine(
                Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "proxytune");
            string own = Path.Combine(userCache, Path.GetDirectoryName(source.Path)!.Trim(Path.DirectorySeparatorChar).Replace(Path.DirectorySeparatorChar, '_'));
            Directory.CreateDirectory(own);
            return own;
        }
    }

    /// <summary>Imports a source into a cache, unless the cache has it from the same files.</summary>
    /// <param name="progress">Receives the share of the work that is done, 0 to 1; null for none. Not called if nothing is to do.</param>
    /// <returns>The folder of the import.</returns>
    /// <exception cref="EngineException">InvalidModelFolder: the source is broken or not supported; InvalidValue: the precision; StoreFull: the disk is full.</exception>
    public static string IntoCache(ModelSource source, string cache, string precision = UsualPrecision, IProgress<double>? progress = null)
    {
        string target = Path.Combine(cache, $"{source.Name}.{precision}");
        return Into(source, target, precision, replaces: true, progress);
    }

    /// <summary>Imports a source into a folder.</summary>
    /// <param name="replaces">Whether a folder that is there may be replaced. A complete import of the same files stays as it is.</param>
    /// <exception cref="EngineException">As <see cref="IntoCache"/>; Conflict: the folder exists and is not an import of these files.</exception>
    public static string Into(ModelSource source, string target, string precision = UsualPrecision, bool replaces = false, IProgress<double>? progress = null)
    {
        if (!Precisions.Contains(precision))
        {
            throw new EngineException(EngineError.InvalidValue, $"precision is '{precision}'; accepted are {string.Join(", ", Precisions)}.", "precision");
        }

        target = Path.GetFullPath(target);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        using FileStream held = Hold(Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.lock"));
        ImportRecord record = ImportRecord.Of(source, precision);
        if (ImportRecord.TryRead(target) is { } there && there.IsSame(record))
        {
            return target;
        }

        if (!replaces && Directory.Exists(target))
        {
            throw new EngineException(EngineError.Conflict, $"{target} exists and is not an import of '{source.Path}' as it is now; accepted is another name, or --replace.", "name");
        }

        Delete(target + Partial);
        try
        {
            record = Convert(source, target + Partial, record, progress);
            record.Write(target + Partial);
            Publish(target);
            progress?.Report(1);
            return target;
        }
        catch (IOException error) when (DiskFull.Is(error))
        {
            throw new EngineException(EngineError.StoreFull, $"The disk of {Path.GetDirectoryName(target)} is full, so '{source.Path}' cannot be imported there; make room, or choose another folder.", inner: error);
        }
        finally
        {
            Delete(target + Partial);
        }
    }

    private static ImportRecord Convert(ModelSource source, string target, ImportRecord record, IProgress<double>? progress)
    {
        int bits = record.Precision switch { "int8" => 8, "int4" => 4, _ => CheckpointExporter.FloatBits };
        if (source.Kind == SourceKind.HuggingFace)
        {
            CheckpointExporter.Export(source.Path, target, bits: bits);
            progress?.Report(Converted);
            JsonFields config = JsonFields.Read(Path.Combine(source.Path, FileNames.Config));
            return record.WithHashes(source) with
            {
                Family = config.FindText("model_type"),
                Licence = LicenceOf(Path.Combine(source.Path, ModelCard)),
                NotServed = config.FindObject("vision_config") is null ? [] : ["vision"],
            };
        }

        GgufMetadata? metadata = null;
        CheckpointExporter.ExportWritten(
            folder =>
            {
                metadata = GgufImporter.WriteHuggingFace(source.Path, folder);
                progress?.Report(Converted / 2);
            },
            target,
            bits);
        progress?.Report(Converted);
        return record.WithHashes(source) with { Family = metadata!.Text(GgufArchitectures.Architecture), Licence = metadata.FindText("general.license") };
    }

    /// <summary>The licence that the model card of a Hugging Face folder names between its two lines of dashes; null if it names none.</summary>
    private static string? LicenceOf(string card) => !File.Exists(card) ? null : File.ReadLines(card).Skip(1).TakeWhile(line => line.TrimEnd() != "---")
        .Select(line => line.Split(':', 2)).FirstOrDefault(field => field is ["license", _])?[1].Trim();

    private static void Publish(string target)
    {
        Delete(target + Old);
        if (Directory.Exists(target))
        {
            Directory.Move(target, target + Old);
        }

        Directory.Move(target + Partial, target);
        Delete(target + Old);
    }

    /// <summary>Waits until no other process holds the lock.</summary>
    private static FileStream Hold(string path)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
            }
            catch (IOException error) when (error is not (DirectoryNotFoundException or PathTooLongException) && File.Exists(path))
            {
                Thread.Sleep(LockPause);
            }
        }
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
