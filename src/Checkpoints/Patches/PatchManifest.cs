using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// What a patch says of itself: manifest.json in its folder, every field optional. What it says of its own shape is checked against the patch
/// (<see cref="CheckFits"/>); what it says of base and scores is a claim.
/// </summary>
public sealed record PatchManifest
{
    private static readonly ManifestJson Json = new(new JsonSerializerOptions(ManifestJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    // A probe's row is the longest part: some hundred thousand numbers for the largest vocabularies.
    private const long MaxBytes = 16 << 20;
    private const int LongestProbe = 4096;

    /// <summary>The weights that it was trained on.</summary>
    public PatchOrigin? Base { get; init; }

    /// <summary>r.</summary>
    public int? Rank { get; init; }

    public double? Alpha { get; init; }

    /// <summary>Names of the projections that it changes, such as q_proj.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    public PatchData? Data { get; init; }

    /// <summary>The lowest mean loss of a token, in nats, on examples that it was not trained on.</summary>
    public double? ValidationLoss { get; init; }

    public IReadOnlyList<PatchScore>? Scores { get; init; }

    /// <summary>What the patched weights answer, to be compared wherever the patch is loaded.</summary>
    public PatchProbeRow? Probe { get; init; }

    /// <summary>A folder's manifest, or null where it has none.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming the file, the field, its value and what is accepted.</exception>
    public static PatchManifest? TryRead(string folder)
    {
        string path = Path.Combine(folder, FileNames.Manifest);
        if (!File.Exists(path))
        {
            return null;
        }

        Require(path, new FileInfo(path).Length <= MaxBytes, "size", new FileInfo(path).Length, $"at most {MaxBytes} bytes");
        PatchManifest manifest = JsonFile.Read(path, Json.PatchManifest);
        manifest.Check(path);
        return manifest;
    }

    public void Write(string folder) => File.WriteAllText(Path.Combine(folder, FileNames.Manifest), JsonSerializer.Serialize(this, Json.PatchManifest) + "\n");

    /// <summary>Whether rank and targets are those of the patch.</summary>
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
        Require(path, Probe?.Tokens is null || Probe.Tokens.Count <= LongestProbe, "probe.tokens", $"{Probe?.Tokens?.Count} ids", $"at most {LongestProbe}");
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

/// <param name="Name">Of the model folder.</param>
/// <param name="Weights">Its <see cref="Lineage"/>.</param>
/// <param name="Tokenizer">Its tokenizer's vocabulary hash.</param>
public sealed record PatchOrigin(string? Name = null, string? Weights = null, string? Tokenizer = null);

/// <summary>What the patch was trained on.</summary>
/// <param name="Source">As the trainer names it.</param>
/// <param name="Hash">SHA-256 over the examples.</param>
public sealed record PatchData(string? Source = null, string? Hash = null);

/// <summary>How many answers of a task were right.</summary>
public sealed record PatchScore(string Task, int Right, int Total);

/// <summary>A prompt, and the logits that follow it according to the patch's trainer.</summary>
/// <param name="Tokens">Ids of the prompt.</param>
/// <param name="Logits">The whole row behind its last token.</param>
public sealed record PatchProbeRow(IReadOnlyList<int> Tokens, IReadOnlyList<float> Logits);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(PatchManifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;
