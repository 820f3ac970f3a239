using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Serving;

/// <summary>Content of catalog.json. Reading checks only its form.</summary>
internal sealed record CatalogFile
{
    public IReadOnlyList<ServedModelEntry>? ServedModels { get; init; }

    /// <summary>Reads the folder's catalogue; an empty one if there is none.</summary>
    /// <exception cref="EngineException">InvalidCatalog with file, line and field.</exception>
    public static CatalogFile Read(string folder)
    {
        string path = Path.Combine(folder, FileNames.Catalog);
        return File.Exists(path) ? JsonFile.Read(path, CatalogJson.Default.CatalogFile, EngineError.InvalidCatalog) : new CatalogFile();
    }
}

internal sealed record ServedModelEntry : FusionSettings
{
    public string? Name { get; init; }

    public string? Description { get; init; }

    /// <summary>Whether only operators see it.</summary>
    public bool? OperatorsOnly { get; init; }

    public BaseEntry? Base { get; init; }

    /// <summary>Added to the base's weights.</summary>
    public IReadOnlyList<PatchEntry>? Patches { get; init; }

    /// <summary>Further methods that requests may choose; absent: none.</summary>
    public IReadOnlyList<string>? Methods { get; init; }

    public double[]? AlphaRange { get; init; }

    public IReadOnlyList<ExpertEntry>? Experts { get; init; }

    /// <summary>Name of a model folder: the smaller model of contrastive decoding.</summary>
    public string? Amateur { get; init; }

    public double[]? AmplificationRange { get; init; }

    /// <summary>Names of the model folders that it needs.</summary>
    [JsonIgnore]
    public IEnumerable<string> Folders =>
        (Experts ?? []).SelectMany(expert => new[] { expert.Model, expert.AntiExpert }).Append(Base?.Folder).Append(Amateur).OfType<string>().Distinct();
}

internal sealed record ExpertEntry
{
    public string? Name { get; init; }

    public string? Model { get; init; }

    /// <summary>Absent for a portable reward.</summary>
    public string? AntiExpert { get; init; }

    public double? Weight { get; init; }

    public double[]? WeightRange { get; init; }

    /// <summary>Added to the model's weights.</summary>
    public IReadOnlyList<PatchEntry>? Patches { get; init; }

    /// <summary>By role, expert and anti_expert. They override those of the served model.</summary>
    public IReadOnlyDictionary<string, PromptSettings>? Prompts { get; init; }
}

internal sealed record PatchEntry
{
    /// <summary>Name of a folder under patches, or, at run time, of an uploaded patch.</summary>
    public string? Patch { get; init; }

    public double? Weight { get; init; }
}

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(CatalogFile))]
[JsonSerializable(typeof(RemoteEntry))]
[JsonSerializable(typeof(ServedModelEntry))]
internal sealed partial class CatalogJson : JsonSerializerContext;
