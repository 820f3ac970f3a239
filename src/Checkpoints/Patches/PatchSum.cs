using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// A weighted sum of patches as one patch: sum_i w_i (alpha_i / r_i) B_i A_i. Its rank is the sum of the patches' ranks. A sequence with a sum
/// uses the model's weights plus this sum. Immutable.
/// </summary>
public sealed class PatchSum
{
    private readonly Lazy<string> hash;

    /// <param name="patches">At least one patch, in any order.</param>
    /// <exception cref="EngineException">InvalidValue: a patch is given twice, or a weight is not finite.</exception>
    public PatchSum(IEnumerable<WeightedPatch> patches)
    {
        Patches = [.. patches.OrderBy(patch => patch.Patch.Path, StringComparer.Ordinal)];
        ArgumentOutOfRangeException.ThrowIfZero(Patches.Count, nameof(patches));
        PatchMerge.CheckWeights(Patches);
        Name = string.Join(" + ", Patches.OrderBy(patch => patch.Patch.Name, StringComparer.Ordinal).Select(patch => FormattableString.Invariant($"{patch.Weight} {patch.Patch.Name}")));
        hash = new(HashOf);
    }

    /// <summary>A name such as <c>0.8 town-polite + 0.8 town-qa</c>. Equal sums have equal names.</summary>
    public string Name { get; }

    /// <summary>The patches in the order of their files.</summary>
    public IReadOnlyList<WeightedPatch> Patches { get; }

    /// <summary>The SHA-256 over the weights, scales and values of the patches, in lower-case hex. Equal updates of a model have equal hashes.</summary>
    public string Hash => hash.Value;

    /// <summary>The memory of the patches in bytes, as read from files and in the layout of a graph.</summary>
    internal long Bytes => 2 * Patches.Sum(patch => patch.Patch.Bytes);

    /// <summary>The names of the changed weights.</summary>
    public IEnumerable<string> Targets => Patches.SelectMany(patch => patch.Patch.Targets).Distinct();

    private string HashOf()
    {
        using IncrementalHash sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        // The hash covers the content instead of file names, since files with equal names can hold different patches.
        foreach ((string patch, double weight) in Patches.Where(patch => patch.Weight != 0).Select(patch => (HashOf(patch.Patch), patch.Weight)).Order())
        {
            sum.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{patch} {weight:R}\n")));
        }

        return Convert.ToHexStringLower(sum.GetHashAndReset());
    }

    private static string HashOf(LowRankPatch patch)
    {
        using IncrementalHash sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string target in patch.Targets.Order(StringComparer.Ordinal))
        {
            LowRankPair pair = patch.Pair(target)!;
            sum.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{target} {pair.Rank} {pair.Scale:R}\n")));
            sum.AppendData(MemoryMarshal.AsBytes(pair.A.AsSpan()));
            sum.AppendData(MemoryMarshal.AsBytes(pair.B.AsSpan()));
        }

        return Convert.ToHexStringLower(sum.GetHashAndReset());
    }
}
