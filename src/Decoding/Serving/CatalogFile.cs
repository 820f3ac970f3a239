using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Serving;

/// <summary>catalog.json as it is written; nothing is checked but its form.</summary>
internal sealed record CatalogFile
{
    public IReadOnlyList<ServedModelEntry>? ServedModels { get; init; }

    /// <summary>The folder's catalog, or an empty one where there is none.</summary>
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

    /// <summary>Whether others than operators do not see it.</summary>
    public bool? OperatorsOnly { get; init; }

    public BaseEntry? Base { get; init; }

    /// <summary>Added to the base's weights.</summary>
    public IReadOnlyList<PatchEntry>? Patches { get; init; }

    /// <summary>What requests may choose from beside it; absent: nothing.</summary>
    public IReadOnlyList<string>? Methods { get; init; }

    public double[]? AlphaRange { get; init; }

    public IReadOnlyList<ExpertEntry>? Experts { get; init; }

    /// <summary>Name of a model folder: the smaller model of contrastive decoding.</summary>
    public string? Amateur { get; init; }

    public double[]? AmplificationRange { get; init; }
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

    /// <summary>By role, expert and anti_expert: over the served model's.</summary>
    public IReadOnlyDictionary<string, PromptSettings>? Prompts { get; init; }
}

internal sealed record PatchEntry
{
    /// <summary>Name of a folder under patches.</summary>
    public string? Patch { get; init; }

    public double? Weight { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(CatalogFile))]
[JsonSerializable(typeof(RemoteEntry))]
[JsonSerializable(typeof(ServedModelEntry))]
internal sealed partial class CatalogJson : JsonSerializerContext;
