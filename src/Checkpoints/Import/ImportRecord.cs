using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Import;

/// <summary>Where an imported model came from: import.json in its folder.</summary>
public sealed record ImportRecord
{
    /// <summary>Changes when an import gives other files than before, so that earlier imports are made anew.</summary>
    public const int CurrentVersion = 1;

    internal const string FileName = "import.json";

    public required int Version { get; init; }

    /// <summary>Full path of the source.</summary>
    public required string Source { get; init; }

    /// <summary>fp32, int8 or int4.</summary>
    public required string Precision { get; init; }

    /// <summary>The architecture's name in the source.</summary>
    public string? Family { get; init; }

    /// <summary>As the source names it; null where it names none.</summary>
    public string? Licence { get; init; }

    /// <summary>The parts of the source that are not served, such as a vision tower.</summary>
    public IReadOnlyList<string> NotServed { get; init; } = [];

    /// <summary>The source's files by name.</summary>
    public required IReadOnlyDictionary<string, SourceFile> Files { get; init; }

    /// <summary>What an import of a source gives a record of.</summary>
    public static ImportRecord Of(ModelSource source, string precision) => new()
    {
        Version = CurrentVersion,
        Source = source.Path,
        Precision = precision,
        Files = source.Files.ToDictionary(file => file.Name, file => new SourceFile(FileLength.Of(file.FullName), File.ResolveLinkTarget(file.FullName, returnFinalTarget: true)?.LastWriteTimeUtc ?? file.LastWriteTimeUtc)),
    };

    /// <summary>The record of an imported folder; null if the folder has none that can be read.</summary>
    public static ImportRecord? TryRead(string folder)
    {
        try
        {
            string path = Path.Combine(folder, FileName);
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), ImportJson.Default.ImportRecord) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether an import of that source and precision would give the same again.</summary>
    public bool IsSame(ImportRecord other) =>
        (Version, Source, Precision) == (other.Version, other.Source, other.Precision) && Files.Count == other.Files.Count && Files.All(file => other.Files.GetValueOrDefault(file.Key) is { } same && (same.Bytes, same.Written) == (file.Value.Bytes, file.Value.Written));

    /// <summary>This record with the hash of each file. Reads all files.</summary>
    internal ImportRecord WithHashes(ModelSource source) =>
        this with { Files = source.Files.ToDictionary(file => file.Name, file => Files[file.Name] with { Hash = ContentHash.OfFile(file.FullName) }) };

    internal void Write(string folder) => File.WriteAllBytes(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, ImportJson.Default.ImportRecord));
}

/// <param name="Bytes">Its length.</param>
/// <param name="Written">When it was written last, in UTC.</param>
public sealed record SourceFile(long Bytes, DateTime Written)
{
    /// <summary>SHA-256 of its content, lower-case hex; null in a record that is only compared.</summary>
    [JsonPropertyName("sha256")]
    public string? Hash { get; init; }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ImportRecord))]
internal sealed partial class ImportJson : JsonSerializerContext;
