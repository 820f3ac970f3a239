using System.Runtime.InteropServices;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Applies <see cref="MissingTokens"/> to a position of a running plan whose base is remote. Keeps buffers, so one thread at a time.</summary>
internal sealed class MissingShift
{
    private readonly List<ReadOnlyMemory<float>> summands = [];
    private readonly List<float> coefficients = [];
    private float[] shift = [];

    /// <param name="fused">The row as it was made of these members' rows.</param>
    /// <returns>Null where the base's row is whole or takes no part.</returns>
    public MissingBound? Bound(FusedSequence sequence, int index, Weighing weighing, ReadOnlySpan<float> fused)
    {
        if (sequence.Running.Base is not { } ofBase || sequence.Streams[ofBase].Sequence.MaxMissing is not { } most)
        {
            return null;
        }

        ReadOnlySpan<float> known = sequence.Streams[ofBase].Row(index).Span[..fused.Length];
        float weight = Weight(sequence.Running, weighing, ofBase);
        return weight < 1 ? MissingBound.Unknown(MissingTokens.Mass(known))
            : ByMask(sequence.Plan.Mask, weighing.Kept, known, most, fused) is { } decided ? decided
            : MissingTokens.Bound(known, most, weight, Shift(sequence, index, weighing, ofBase, fused.Length), fused);
    }

    /// <summary>A mask for a base of which only some tokens are known: a nucleus is one of the whole probability, not of the known ones' share.</summary>
    public static CandidateMask Of(CandidateMask mask, FusedStream baseStream, ReadOnlySpan<float> known) =>
        baseStream.Sequence.MaxMissing is not null && mask.Kind == MaskKind.Nucleus && mask.Of == MaskOrigin.Base
            ? mask with { Amount = Math.Min(1, mask.Amount / (1 - MissingTokens.Mass(known))) }
            : mask;

    /// <summary>A mask may exclude all that is missing, or it may be unsure what it should exclude.</summary>
    private static MissingBound? ByMask(CandidateMask mask, int kept, ReadOnlySpan<float> known, float most, ReadOnlySpan<float> fused)
    {
        if (mask.Kind == MaskKind.None)
        {
            return null;
        }

        double mass = MissingTokens.Mass(known);
        if (mask.Of == MaskOrigin.Expert)
        {
            // The one may stand in for candidates that are all missing.
            return kept > 1 ? null : MissingBound.Unknown(mass);
        }

        int likeliest = Selection.Largest(known);
        float least = 0;
        foreach (float logprob in known)
        {
            least = float.IsNegativeInfinity(logprob) ? least : Math.Min(least, logprob);
        }

        return most > least || float.IsNegativeInfinity(fused[likeliest]) ? MissingBound.Unknown(mass)
            : mask.Kind == MaskKind.Ratio && most < known[likeliest] + Math.Log(mask.Amount) ? MissingBound.Nothing(mass)
            : mask.Kind == MaskKind.Nucleus && mask.Amount <= 1 - mass ? MissingBound.Nothing(mass)
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
            // The fused row was made of the same rows, so they are sound.
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
