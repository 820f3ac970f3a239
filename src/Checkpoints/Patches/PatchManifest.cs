using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// The manifest of a patch: manifest.json in its folder, with optional fields. <see cref="CheckFits"/> compares rank and targets with the patch.
/// The base and the scores are claims of the author.
/// </summary>
public sealed record PatchManifest
{
    private static readonly ManifestJson Json = new(new JsonSerializerOptions(ManifestJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    // The probe's row is the longest part: a few hundred thousand numbers for the largest vocabularies.
    private const long MaxBytes = 16 << 20;
    private const int MaxProbeTokens = 4096;

    /// <summary>The base that the patch was trained on.</summary>
    public PatchOrigin? Base { get; init; }

    /// <summary>The rank r.</summary>
    public int? Rank { get; init; }

    public double? Alpha { get; init; }

    /// <summary>The names of the changed projections, such as q_proj.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    public PatchData? Data { get; init; }

    /// <summary>The lowest mean loss per token on validation examples, in nats.</summary>
    public double? ValidationLoss { get; init; }

    public IReadOnlyList<PatchScore>? Scores { get; init; }

    /// <summary>A row of logits of the patched base. Loading a patch compares it with a computed row.</summary>
    public PatchProbeRow? Probe { get; init; }

    /// <summary>Reads a folder's manifest; null if there is none.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming the file, the field, its value and what is accepted.</exception>
    public static PatchManifest? TryRead(string folder)
    {
        string path = Path.Combine(folder, FileNames.Manifest);
        if (!File.Exists(path))
        {
            return null;
        }

        Require(path, FileLength.Of(path) <= MaxBytes, "size", FileLength.Of(path), $"at most {MaxBytes} bytes");
        PatchManifest manifest = JsonFile.Read(path, Json.PatchManifest);
        manifest.Check(path);
        return manifest;
    }

    public void Write(string folder) => File.WriteAllText(Path.Combine(folder, FileNames.Manifest), JsonSerializer.Serialize(this, Json.PatchManifest) + "\n");

    /// <summary>Checks that rank and targets equal those of the patch.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming the field, its value and the patch's.</exception>
    public void CheckFits(LowRankPatch patch)
    {
        ArgumentNullException.ThrowIfNull(patch);
        string path = Path.Combine(Path.GetDirectoryName(patch.Path)!, FileNames.Manifest);
        int[] ranks = [.. patch.Targets.Select(target => patch.Pair(target)!.Rank).Distinct()];
        string[] modules = [.. patch.Targets.Select(target => target.Split('.')[^2]).Distinct().Order(StringComparer.Ordinal)];
        Require(path, Rank is null || ranks.Contains(Rank.Value), "rank", Rank, $"the patch's, {string.Join(", ", ranks)}");
        Require(path, Targets is null || Targets.Order(StringComparer.Ordinal).SequenceEqual(modules), "targets", string.Join(", ", Targets ?? []), $"the patch's, {string.Join(", ", modules)}");
    }

    private void Check(string path)
    {
        RequireHash(path, "base.weights", Base?.Weights);
        RequireHash(path, "base.tokenizer", Base?.Tokenizer);
        RequireHash(path, "data.hash", Data?.Hash);
        Require(path, Rank is null or >= 1, "rank", Rank, "1 or more");
        Require(path, Alpha is null || double.IsFinite(Alpha.Value), "alpha", Alpha, "a finite number");
        Require(path, Probe?.Tokens is null || Probe.Tokens.Count <= MaxProbeTokens, "probe.tokens", $"{Probe?.Tokens?.Count} ids", $"at most {MaxProbeTokens}");
        Require(path, ValidationLoss is null or >= 0 and < double.PositiveInfinity, "validation_loss", ValidationLoss, "a finite number of at least 0");
        foreach ((int i, PatchScore? score) in (Scores ?? []).Index())
        {
            Require(path, !string.IsNullOrEmpty(score?.Task), $"scores[{i}].task", score?.Task, "a task's name");
            Require(path, score!.Total >= 1, $"scores[{i}].total", score.Total, "1 or more");
            Require(path, score.Right >= 0 && score.Right <= score.Total, $"scores[{i}].right", score.Right, $"0 to {score.Total}");
        }

        if (Probe is { } probe)
        {
            Require(path, probe.Logits.Count > 0 && probe.Logits.All(float.IsFinite), "probe.logits", $"{probe.Logits.Count} numbers", "a row of finite numbers");
            Require(path, probe.Tokens.Count > 0 && probe.Tokens.All(id => id >= 0 && id < probe.Logits.Count), "probe.tokens", $"[{string.Join(", ", probe.Tokens)}]", "one token id or more, each within the row");
        }
    }

    private static void RequireHash(string path, string field, string? value) =>
        Require(path, value is null || ContentHash.IsHash(value), field, value, "a SHA-256 in lower-case hex");

    private static void Require(string path, bool holds, string field, object? value, string accepted)
    {
        if (!holds)
        {
            throw Wrong(path, field, value, accepted);
        }
    }

    private static EngineException Wrong(string path, string field, object? value, string accepted) =>
        EngineException.InFile(path, FormattableString.Invariant($"{field} is {value ?? "missing"}; accepted is {accepted}."), field);
}

/// <summary>The base that a patch was trained on.</summary>
/// <param name="Name">The name of the model folder.</param>
/// <param name="Weights">The <see cref="Lineage"/> of the base's weights.</param>
/// <param name="Tokenizer">The hash of the tokenizer's vocabulary.</param>
public sealed record PatchOrigin(string? Name = null, string? Weights = null, string? Tokenizer = null);

/// <summary>The data that a patch was trained on.</summary>
/// <param name="Source">The trainer's name of the source.</param>
/// <param name="Hash">The SHA-256 over the examples.</param>
public sealed record PatchData(string? Source = null, string? Hash = null);

/// <summary>The number of right answers in a task.</summary>
public sealed record PatchScore(string Task, int Right, int Total);

/// <summary>A prompt, and the logits after it that the patch's trainer computed.</summary>
/// <param name="Tokens">The token ids of the prompt.</param>
/// <param name="Logits">The row of logits after the last token: [vocabulary].</param>
public sealed record PatchProbeRow(IReadOnlyList<int> Tokens, IReadOnlyList<float> Logits);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(PatchManifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;
