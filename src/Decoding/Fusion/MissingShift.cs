using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Applies <see cref="MissingTokens"/> to a position of a running plan with a remote base. It has buffers, so only one thread at a time may use it.</summary>
internal sealed class MissingShift
{
    private readonly List<ReadOnlyMemory<float>> summands = [];
    private readonly List<float> coefficients = [];
    private float[] shift = [];

    /// <param name="fused">The fused row of these members' rows.</param>
    /// <returns>The bound; null if the base's row is complete or the base does not run.</returns>
    public MissingBound? Bound(FusedSequence sequence, int index, Weighing weighing, ReadOnlySpan<float> fused)
    {
        if (sequence.Running.Base is not { } ofBase || sequence.Streams[ofBase].Sequence.MaxMissing is not { } maxMissing)
        {
            return null;
        }

        ReadOnlySpan<float> known = sequence.Streams[ofBase].Row(index).Span[..fused.Length];
        float weight = Weight(sequence.Running, weighing, ofBase);
        return weight < 1 ? MissingBound.Unknown(MissingTokens.Mass(known))
            : ByMask(sequence.Plan.Mask, weighing.Kept, known, maxMissing, fused) is { } decided ? decided
            : MissingTokens.Bound(known, maxMissing, weight, Shift(sequence, index, weighing, ofBase, fused.Length), fused);
    }

    /// <summary>A mask for a base with only some known tokens. A nucleus refers to the whole probability instead of the known share.</summary>
    public static CandidateMask Of(CandidateMask mask, FusedStream baseStream, ReadOnlySpan<float> known) =>
        baseStream.Sequence.MaxMissing is not null && mask.Kind == MaskKind.Nucleus && mask.Of == MaskOrigin.Base
            ? mask with { Amount = Math.Min(1, mask.Amount / (1 - MissingTokens.Mass(known))) }
            : mask;

    /// <summary>Computes the bound from the mask if the mask bans all missing tokens, or if it depends on them. Null if the mask does not decide.</summary>
    private static MissingBound? ByMask(CandidateMask mask, int kept, ReadOnlySpan<float> known, float maxMissing, ReadOnlySpan<float> fused)
    {
        // The rank mask does not depend on the base. It bans missing tokens too, so the bound stays an upper bound.
        if (mask.Kind is MaskKind.None or MaskKind.Rank)
        {
            return null;
        }

        double mass = MissingTokens.Mass(known);
        if (mask.Of == MaskOrigin.Expert)
        {
            // The only remaining token may replace candidates that are all missing.
            return kept > 1 ? null : MissingBound.Unknown(mass);
        }

        int likeliest = Sampler.Largest(known);
        float minKnown = 0;
        foreach (float logprob in known)
        {
            minKnown = float.IsNegativeInfinity(logprob) ? minKnown : Math.Min(minKnown, logprob);
        }

        return maxMissing > minKnown || float.IsNegativeInfinity(fused[likeliest]) ? MissingBound.Unknown(mass)
            : mask.Kind == MaskKind.Ratio && maxMissing < known[likeliest] + Math.Log(mask.Amount) ? MissingBound.Nothing(mass)
            : mask.Kind == MaskKind.Nucleus && mask.Amount <= 1 - MissingTokens.MaxMass(mass) ? MissingBound.Nothing(mass)
            : null;
    }

    private ReadOnlySpan<float> Shift(FusedSequence sequence, int index, Weighing weighing, int ofBase, int width)
    {
        Array.Resize(ref shift, Math.Max(shift.Length, width));
        Span<float> sum = shift.AsSpan(0, width);
        summands.Clear();
        coefficients.Clear();
        for (int k = 0; k < sequence.Running.Streams.Count; k++)
        {
            float weight = Weight(sequence.Running, weighing, k);
            if (k != ofBase && weight != 0)
            {
                summands.Add(sequence.Streams[k].Row(index));
                coefficients.Add(weight);
            }
        }

        if (summands.Count == 0)
        {
            sum.Clear();
        }
        else
        {
            // The fused row was computed from the same rows, so they are valid.
            WeightedSum.Fuse(CollectionsMarshal.AsSpan(summands), CollectionsMarshal.AsSpan(coefficients), sum);
        }

        return sum;
    }

    private static float Weight(RunningPlan running, Weighing weighing, int stream)
    {
        float weight = running.Streams[stream].Weight;
        for (int i = 0; i < weighing.Weights.Length; i++)
        {
            weight += running.Deltas[i].Plus == stream ? weighing.Weights[i] : running.Deltas[i].Minus == stream ? -weighing.Weights[i] : 0;
        }

        return weight;
    }
}

/// <summary>
/// Bounds the error of fusion over the tokens that a remote base returned. The fused weight of a token is f(x) = p(x)^w exp(g(x)), with p the
/// base, w at least 1, and g the sum of the deltas. Known tokens have Z = sum of f. The missing tokens share m = 1 - sum of known p, and each
/// has at most p_max. So their weight B is at most that of the fractional knapsack that gives p_max to the largest g, one after
/// the other, until m is used up (f grows at least linearly in p, so no other division is heavier). The complete distribution
/// gives B / (Z + B) to missing tokens and scales the known ones down equally. This is the total variation between the two. The returned numbers
/// are rounded, so B is computed for m + <see cref="Rounding"/>.
/// </summary>
public static class MissingTokens
{
    /// <summary>The error of a sum of returned probabilities: log-probabilities are rounded, and computed from logits in single precision.</summary>
    public const double Rounding = 1e-5;

    /// <param name="known">log p of the base; minus infinity for missing tokens.</param>
    /// <param name="maxMissing">log p_max.</param>
    /// <param name="weight">w, at least 1.</param>
    /// <param name="shift">g; minus infinity bans.</param>
    /// <param name="fused">The fused row over the known tokens, with or without a mask; minus infinity for missing tokens. At least one token is finite.</param>
    public static MissingBound Bound(
        ReadOnlySpan<float> known, float maxMissing, float weight, ReadOnlySpan<float> shift, ReadOnlySpan<float> fused)
    {
        double mass = Mass(known), maxMass = MaxMass(mass);
        double largest = Math.Min(Math.Exp(maxMissing), maxMass);
        if (largest <= 0)
        {
            return MissingBound.Nothing(mass);
        }

        Candidate[] rented = ArrayPool<Candidate>.Shared.Rent(shift.Length);
        Span<Candidate> heaviest = Heaviest(known, shift, maxMass / largest, rented);
        float top = float.NegativeInfinity;
        foreach (Candidate candidate in heaviest)
        {
            top = Math.Max(top, candidate.Score);
        }

        float likeliest = TensorPrimitives.Max(fused);
        double bestMissing = top + (weight * Math.Log(largest));
        double reference = Math.Max(likeliest, bestMissing), left = maxMass, missing = 0;
        foreach (Candidate candidate in heaviest)
        {
            double share = Math.Min(largest, left);
            left -= share;
            missing += Math.Exp((weight * Math.Log(share)) + candidate.Score - reference);
        }

        ArrayPool<Candidate>.Shared.Return(rented);
        double sum = 0;
        foreach (float score in fused)
        {
            sum += Math.Exp(score - reference);
        }

        return new(mass, missing / (sum + missing), bestMissing < likeliest);
    }

    /// <summary>The largest mass that the missing tokens can have, since the known probabilities may sum to 1 by rounding alone.</summary>
    internal static double MaxMass(double mass) => Math.Min(1, mass + Rounding);

    /// <summary>m = 1 - the sum of the known probabilities, as they were returned.</summary>
    internal static double Mass(ReadOnlySpan<float> known)
    {
        double sum = 0;
        foreach (float logprob in known)
        {
            sum += Math.Exp(logprob);
        }

        return Math.Max(0, 1 - sum);
    }

    /// <summary>The missing tokens with the largest shifts, as many as are needed for the mass. The one with the smallest shift is last and takes the rest.</summary>
    private static Span<Candidate> Heaviest(ReadOnlySpan<float> known, ReadOnlySpan<float> shift, double shares, Candidate[] candidates)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(shift.Length);
        Span<float> missing = rented.AsSpan(0, shift.Length);
        shift.CopyTo(missing);
        for (int id = 0; id < missing.Length; id++)
        {
            if (!float.IsNegativeInfinity(known[id]))
            {
                missing[id] = float.NegativeInfinity;
            }
        }

        int count = (int)Math.Min(Math.Ceiling(shares), missing.Length);
        Selection.Top(missing, count, candidates);
        ArrayPool<float>.Shared.Return(rented);
        return candidates.AsSpan(0, count);
    }
}
