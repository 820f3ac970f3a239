using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>How large a patch's update is against the weights that it is put on, and against what these have changed since it was trained.</summary>
/// <param name="Targets">In ordinal order of their names.</param>
/// <param name="Total">All targets as one block-diagonal matrix.</param>
/// <param name="WeightsUnknown">Why nothing is said of the weights; null where it is.</param>
/// <param name="ChangeUnknown">Why nothing is said of their change; null where it is.</param>
public sealed record UpdateDiagnostics(IReadOnlyList<TargetDiagnostics> Targets, TargetDiagnostics Total, string? WeightsUnknown, string? ChangeUnknown)
{
    /// <summary>Reads the checkpoints tensor by tensor; never holds more than one weight of each.</summary>
    /// <param name="folder">Of the base that the patch is put on: W'.</param>
    /// <param name="donor">Of the base that it was trained on: W; null where that is not at hand.</param>
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

/// <summary>An update dW = (alpha / r) B A of a weight W' [out, in], where W became W' since the update was trained.</summary>
/// <param name="Target">Name of the weight, or <c>all</c>.</param>
/// <param name="Rank">Of the factors; summed over all targets.</param>
/// <param name="Frobenius">|dW|_F = sqrt(sum of s_i^2), with s_i the singular values of dW.</param>
/// <param name="Spectral">|dW|_2 = the largest s_i.</param>
/// <param name="EffectiveRank">exp(-sum of p_i ln p_i) with p_i = s_i / sum of s: 1 where one direction is all, r where all are alike (Roy and Vetterli 2007). 0 of an update that is zero.</param>
/// <param name="Weights">Null where the weights are not known.</param>
/// <param name="Change">Null where the change is not known.</param>
public sealed record TargetDiagnostics(string Target, int Rank, double Frobenius, double Spectral, double EffectiveRank, RelativeNorms? Weights, WeightChange? Change);

/// <summary>0 against weights that are zero.</summary>
/// <param name="Frobenius">|dW|_F / |W'|_F.</param>
/// <param name="Spectral">|dW|_2 / |W'|_2, the latter by Lanczos bidiagonalisation (Golub and Kahan 1965), from below and to about 1 in 1,000.</param>
public sealed record RelativeNorms(double Frobenius, double Spectral);

/// <summary>What the weights changed by, and how much of that the update works in. A change at random has a share of about r / out, or r / in.</summary>
/// <param name="Relative">|W' - W|_F / |W|_F.</param>
/// <param name="InColumns">|U U^T (W' - W)|_F^2 / |W' - W|_F^2 with U the left singular vectors of dW: the share of the change that writes where the update writes. 0 without a change.</param>
/// <param name="InRows">|(W' - W) V V^T|_F^2 / |W' - W|_F^2 with V the right ones: the share that reads what the update reads.</param>
public sealed record WeightChange(double Relative, double InColumns, double InRows);
