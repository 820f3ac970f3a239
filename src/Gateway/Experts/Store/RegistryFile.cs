using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Content of registry.json, which alone decides which experts exist. Immutable.</summary>
public sealed record RegistryFile
{
    internal const string FileName = "registry.json";

    /// <summary>Sorted by id.</summary>
    public IReadOnlyList<ExpertRecord> Experts { get; init; } = [];

    /// <summary>What is served of them, oldest first.</summary>
    [JsonInclude]
    internal IReadOnlyList<ServedRecord> Served { get; init; } = [];

    /// <summary>Results of ports, oldest first.</summary>
    public IReadOnlyList<PortRecord> Ports { get; init; } = [];

    /// <summary>Adds an expert, or replaces the one with the same id.</summary>
    public RegistryFile With(ExpertRecord expert) =>
        this with { Experts = [.. Without(expert.Id).Experts.Append(expert).OrderBy(other => other.Id, StringComparer.Ordinal)] };

    public RegistryFile Without(string id) => this with { Experts = [.. Experts.Where(expert => expert.Id != id)] };

    /// <exception cref="EngineException">InvalidCatalog with file, line and what is wrong.</exception>
    internal static RegistryFile Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return new();
        }

        try
        {
            RegistryFile file = JsonSerializer.Deserialize(File.ReadAllBytes(path), RegistryJson.Default.RegistryFile) ?? throw new JsonException("null is no registry.");
            file.Check();
            return file;
        }
        catch (Exception error) when (error is JsonException or EngineException)
        {
            throw new EngineException(EngineError.InvalidCatalog, $"{path}: {error.Message}", FileName, error);
        }
    }

    private void Check()
    {
        HashSet<string> ids = [];
        foreach (ExpertRecord expert in Experts)
        {
            ExpertId.Check(expert.Id);
            if (!ids.Add(expert.Id) || ContentHash.Of(expert.Files) != expert.Content)
            {
                throw new JsonException($"expert '{expert.Id}' occurs twice, or its content is not the hash of its files.");
            }
        }
    }

    /// <summary>Replaces the file atomically: a crash leaves the old or the new registry.</summary>
    internal void Write(string folder) => Durable.Write(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, RegistryJson.Default.RegistryFile));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(RegistryFile))]
internal sealed partial class RegistryJson : JsonSerializerContext;
