using System.Text.Json;
using System.Text.Json.Serialization;

using ProxyTune.Decoding.Onnx;

namespace ProxyTune.Decoding.Patches;

/// <summary>
/// manifest.json of a patch's folder: what it was trained on, and how well it did, so that a server can tell whether a base is the one that it
/// belongs to. Everything may be absent.
/// </summary>
public sealed record PatchManifest
{
    public const string FileName = "manifest.json";

    public PatchOrigin? Base { get; init; }

    public int? Rank { get; init; }

    public double? Alpha { get; init; }

    /// <summary>Modules such as q_proj.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    public PatchData? Data { get; init; }

    public IReadOnlyList<PatchScore>? Scores { get; init; }

    public PatchProbeRow? Probe { get; init; }

    /// <summary>A folder's manifest; null where it has none.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming the file, the field, its value and what is accepted.</exception>
    public static PatchManifest? TryRead(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            PatchManifest manifest = JsonSerializer.Deserialize(File.ReadAllBytes(path), ManifestJson.Default.PatchManifest) ?? throw new JsonException("null is no manifest.");
            manifest.Check(path);
            return manifest;
        }
        catch (JsonException error)
        {
            throw Wrong(path, $"line {error.LineNumber + 1}, {error.Path}: {error.Message.Split(" Path:")[0]}", error);
        }
    }

    public void Write(string folder) =>
        File.WriteAllText(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, ManifestJson.Default.PatchManifest) + "\n");

    private void Check(string path)
    {
        Require(Base?.Weights is null || Lineage.IsHash(Base.Weights), "base.weights", Base?.Weights, "64 digits of lower-case hex");
        Require(Base?.Tokenizer is null || Lineage.IsHash(Base.Tokenizer), "base.tokenizer", Base?.Tokenizer, "64 digits of lower-case hex");
        Require(Rank is null or >= 1, "rank", Rank, "an integer of at least 1");
        Require(Scores is null || Scores.All(score => score is { Total: > 0 } && score.Right >= 0 && score.Right <= score.Total), "scores", "a score outside 0 to its total", "right from 0 to total");
        Require(Probe is null || (Probe.Tokens.Count > 0 && Probe.Logits.Count > 0 && Probe.Tokens.All(token => token >= 0 && token < Probe.Logits.Count)), "probe.tokens", "not within the row", "token ids below the number of logits");
        Require(Probe is null || Probe.Logits.All(float.IsFinite), "probe.logits", "not finite", "finite numbers");

        void Require(bool holds, string field, object? value, string accepted)
        {
            if (!holds)
            {
                throw Wrong(path, $"{field} is {value}; accepted is {accepted}.");
            }
        }
    }

    private static EngineException Wrong(string path, string what, Exception? inner = null) => new(EngineError.InvalidModelFolder, $"{path}: {what}", FileName, inner);
}

/// <param name="Name">What the base was called; for people.</param>
/// <param name="Weights"><see cref="Lineage"/> of the weights that the patch was trained on.</param>
/// <param name="Tokenizer"><see cref="Text.Tokenizer.VocabularyHash"/>.</param>
public sealed record PatchOrigin(string? Name = null, string? Weights = null, string? Tokenizer = null);

/// <param name="Source">What it was called; for people.</param>
/// <param name="Hash">SHA-256 of the training examples.</param>
public sealed record PatchData(string? Source = null, string? Hash = null);

/// <summary>Right answers of a task, on the weights that the patch was trained on.</summary>
public sealed record PatchScore(string Task, int Right, int Total);

/// <summary>A prompt, and what the model with the patch merged into its weights says after it, in float32.</summary>
/// <param name="Tokens">Ids.</param>
/// <param name="Logits">The whole last row.</param>
public sealed record PatchProbeRow(IReadOnlyList<int> Tokens, IReadOnlyList<float> Logits);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(PatchManifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;
