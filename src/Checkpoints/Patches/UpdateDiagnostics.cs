using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>Compares the size of a patch's update with the size of the base's weights, and with their change since the patch was trained.</summary>
/// <param name="Targets">The diagnostics of each target, in ordinal order of the names.</param>
/// <param name="Total">The diagnostics of all targets as one block-diagonal matrix.</param>
/// <param name="WeightsUnknown">The reason why the weights are unknown; null if they are known.</param>
/// <param name="ChangeUnknown">The reason why the change of the weights is unknown; null if it is known.</param>
public sealed record UpdateDiagnostics(IReadOnlyList<TargetDiagnostics> Targets, TargetDiagnostics Total, string? WeightsUnknown, string? ChangeUnknown)
{
    /// <summary>Computes the diagnostics. It reads the checkpoints tensor by tensor and holds one weight of each in memory.</summary>
    /// <param name="folder">The folder of the base that the patch is used on, with weights W'.</param>
    /// <param name="donor">The folder of the base that the patch was trained on, with weights W; null if there is none.</param>
    /// <exception cref="EngineException">InvalidModelFolder: a checkpoint is broken, or has a target in another shape than the patch.</exception>
    public static UpdateDiagnostics Of(LowRankPatch patch, string folder, string? donor = null)
    {
        ArgumentNullException.ThrowIfNull(patch);
        using SafetensorsFile? evolved = Open(folder), old = donor is null ? null : Open(donor);
        string? weightsUnknown = Unknown(patch, folder, evolved);
        string? changeUnknown = weightsUnknown ?? (donor is null ? "the weights that the patch was trained on are not at hand" : Unknown(patch, donor, old));
        List<(string Target, UpdateNorms Norms)> targets = [];
        foreach (string target in patch.Targets.Order(StringComparer.Ordinal))
        {
            LowRankPair pair = patch.Pair(target)!;
            float[]? weights = weightsUnknown is null ? Read(patch, evolved!, target) : null, before = changeUnknown is null ? Read(patch, old!, target) : null;
            targets.Add((target, UpdateNorms.Of(pair, weights, before)));
        }

        return new([.. targets.Select(target => target.Norms.Describe(target.Target))], UpdateNorms.Sum(targets.Select(target => target.Norms)).Describe("all"), weightsUnknown, changeUnknown);
    }

    private static SafetensorsFile? Open(string folder) => Path.Combine(folder, FileNames.Weights) is var path && File.Exists(path) ? SafetensorsFile.Open(path) : null;

    private static string? Unknown(LowRankPatch patch, string folder, SafetensorsFile? file)
    {
        string name = new DirectoryInfo(folder).Name;
        if (file is null)
        {
            return $"'{name}' has no {FileNames.Weights}: its weights are quantised, or in another layout";
        }

        return patch.Targets.FirstOrDefault(target => !file.Tensors.TryGetValue(target, out SafetensorsTensor? tensor) || tensor.DType is not ("F32" or "F16" or "BF16")) is { } target
            ? $"{FileNames.Weights} of '{name}' has no '{target}' in floating point"
            : null;
    }

    private static float[] Read(LowRankPatch patch, SafetensorsFile file, string target)
    {
        PatchMerge.CheckShape(patch, target, [.. file.Tensors[target].Shape]);
        return file.ReadFloat32(target);
    }
}

/// <summary>The diagnostics of an update dW = (alpha / r) B A of a weight W' [out, in]. The update was trained on the weight W.</summary>
/// <param name="Target">The name of the weight, or <c>all</c>.</param>
/// <param name="Rank">The rank of the factors; for <c>all</c> the sum over the targets.</param>
/// <param name="Frobenius">|dW|_F = sqrt(sum of s_i^2), with s_i the singular values of dW.</param>
/// <param name="Spectral">|dW|_2 = the largest s_i.</param>
/// <param name="EffectiveRank">exp(-sum of p_i ln p_i) with p_i = s_i / sum of s: 1 for a single direction, r for r equal singular values (Roy and Vetterli 2007). 0 for an update of zeros.</param>
/// <param name="Weights">The size relative to W'; null if the weights are unknown.</param>
/// <param name="Change">The change from W to W'; null if it is unknown.</param>
public sealed record TargetDiagnostics(string Target, int Rank, double Frobenius, double Spectral, double EffectiveRank, RelativeNorms? Weights, WeightChange? Change);

/// <summary>The norms of an update relative to those of the weight. They are 0 for a weight of zeros.</summary>
/// <param name="Frobenius">|dW|_F / |W'|_F.</param>
/// <param name="Spectral">|dW|_2 / |W'|_2, the latter by Lanczos bidiagonalisation (Golub and Kahan 1965), from below and to about 1 in 1,000.</param>
public sealed record RelativeNorms(double Frobenius, double Spectral);

/// <summary>The change of a weight, and its shares in the column space and the row space of the update. A random change has shares of about r / out and r / in.</summary>
/// <param name="Relative">|W' - W|_F / |W|_F.</param>
/// <param name="InColumns">|U U^T (W' - W)|_F^2 / |W' - W|_F^2 with U the left singular vectors of dW: the share of the change in the update's column space, from 0 to 1. 0 without a change.</param>
/// <param name="InRows">|(W' - W) V V^T|_F^2 / |W' - W|_F^2 with V the right singular vectors: the share in the update's row space, from 0 to 1.</param>
public sealed record WeightChange(double Relative, double InColumns, double InRows);
