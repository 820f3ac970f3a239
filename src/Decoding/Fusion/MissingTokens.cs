using System.Buffers;
using System.Numerics.Tensors;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// Bounds the error of fusing over the tokens that a remote base named. The fused weight of a token is f(x) = p(x)^w exp(g(x)), with p the
/// base, w at least 1, and g what the deltas add. Known tokens have Z = sum of f. The missing ones share m = 1 - sum of known p, and none
/// has more than some p_most. So their weight B is at most that of the fractional knapsack which gives p_most to the largest g, one after
/// the other, until m is used up (f grows at least linearly in p, so no other division is heavier). The whole distribution would have
/// given B / (Z + B) to missing tokens and scaled the known ones down alike: that is the total variation between the two, up to the rounding
/// of the numbers that the remote returned.
/// </summary>
public static class MissingTokens
{
    /// <param name="known">log p of the base, minus infinity where it is not known.</param>
    /// <param name="most">log p_most.</param>
    /// <param name="weight">w, at least 1.</param>
    /// <param name="shift">g; minus infinity bans.</param>
    /// <param name="fused">The fused row over the known tokens, masked or not, minus infinity elsewhere; at least one token is finite.</param>
    public static MissingBound Bound(
        ReadOnlySpan<float> known, float most, float weight, ReadOnlySpan<float> shift, ReadOnlySpan<float> fused)
    {
        double mass = Mass(known);
        double largest = Math.Min(Math.Exp(most), mass);
        if (largest <= 0)
        {
            return MissingBound.Nothing(mass);
        }

        Candidate[] rented = ArrayPool<Candidate>.Shared.Rent(shift.Length);
        Span<Candidate> heaviest = Heaviest(known, shift, mass / largest, rented);
        float top = float.NegativeInfinity;
        foreach (Candidate candidate in heaviest)
        {
            top = Math.Max(top, candidate.Score);
        }

        float likeliest = TensorPrimitives.Max(fused);
        double bestMissing = top + (weight * Math.Log(largest));
        double reference = Math.Max(likeliest, bestMissing), left = mass, missing = 0;
        foreach (Candidate candidate in heaviest)
        {
            double share = Math.Min(largest, left);
            left -= share;
            missing += share > 0 ? Math.Exp((weight * Math.Log(share)) + candidate.Score - reference) : 0;
        }

        ArrayPool<Candidate>.Shared.Return(rented);
        double sum = 0;
        foreach (float score in fused)
        {
            sum += float.IsNegativeInfinity(score) ? 0 : Math.Exp(score - reference);
        }

        return new(mass, missing / (sum + missing), bestMissing < likeliest);
    }

    /// <summary>m: what the known tokens leave of 1.</summary>
    internal static double Mass(ReadOnlySpan<float> known)
    {
        double sum = 0;
        foreach (float logprob in known)
        {
            sum += float.IsNegativeInfinity(logprob) ? 0 : Math.Exp(logprob);
        }

        return Math.Max(0, 1 - sum);
    }

    /// <summary>As many missing tokens as can hold the mass, those of the largest shift; the least of them last, so that it takes the rest.</summary>
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
