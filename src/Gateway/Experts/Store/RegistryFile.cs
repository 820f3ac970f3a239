using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>registry.json: the one truth about which experts there are. Immutable.</summary>
public sealed record RegistryFile
{
    internal const string FileName = "registry.json";

    /// <summary>In the order of their ids.</summary>
    public IReadOnlyList<ExpertRecord> Experts { get; init; } = [];

    /// <summary>What is served of them, in the order in which it came.</summary>
    [JsonInclude]
    internal IReadOnlyList<ServedRecord> Served { get; init; } = [];

    /// <summary>What came of plugging patches into other bases, the newest last.</summary>
    public IReadOnlyList<PortRecord> Ports { get; init; } = [];

    /// <summary>With that expert, in the place of one of the same id.</summary>
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
            ExpertStore.CheckId(expert.Id);
            if (!ids.Add(expert.Id) || ContentHash.Of(expert.Files) != expert.Content)
            {
                throw new JsonException($"expert '{expert.Id}' is there twice, or its content is not the hash of its files.");
            }
        }
    }

    /// <summary>After this either the old registry or this one is on the disk, whatever happens meanwhile.</summary>
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
