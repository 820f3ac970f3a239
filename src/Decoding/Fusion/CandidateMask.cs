using System.Buffers;
using System.Numerics.Tensors;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

public enum MaskKind
{
    None,

    /// <summary>Keeps the tokens with at least a share of the base's largest probability (contrastive decoding, Li et al. 2022).</summary>
    Ratio,

    /// <summary>Keeps the smallest set of likeliest tokens that reaches a probability, in the base (DExperts, Liu et al. 2021) or in an expert.</summary>
    Nucleus,

    /// <summary>Keeps the k likeliest tokens of the base and of each expert.</summary>
    TopK,

    /// <summary>Bans the k tokens that the minus side of any delta raises most over its plus side (the rank variant of divergence decoding, arXiv 2605.31293).</summary>
    Rank,
}

public enum MaskOrigin
{
    Base,

    /// <summary>The plus side of the first delta. If all experts have the weight 0, no expert runs and no token is masked.</summary>
    Expert,
}

/// <summary>A mask of candidates. It is computed from the members' rows and applied to the fused row. At least one token remains.</summary>
/// <param name="Amount">Ratio: share of the maximum, above 0 to 1. Nucleus: probability, above 0 to 1. TopK, Rank: k, at least 1.</param>
/// <param name="Of">Nucleus: the stream whose probabilities count.</param>
public sealed record CandidateMask(MaskKind Kind, double Amount = 1, MaskOrigin Of = MaskOrigin.Base)
{
    public static CandidateMask None { get; } = new(MaskKind.None);

    /// <summary>Bans all tokens of <paramref name="fused"/> that are not candidates.</summary>
    /// <param name="fused">The fused logits. The likeliest token remains if there is no candidate.</param>
    /// <param name="base">The base's row.</param>
    /// <param name="experts">The plus sides of the deltas.</param>
    /// <param name="deltas">Both sides of the deltas.</param>
    /// <returns>The number of tokens that are not banned.</returns>
    internal int Apply(Span<float> fused, ReadOnlySpan<float> @base, ReadOnlySpan<ReadOnlyMemory<float>> experts, ReadOnlySpan<DeltaRows> deltas = default)
    {
        if (Kind == MaskKind.None || (Kind == MaskKind.Nucleus && Of == MaskOrigin.Expert && experts.IsEmpty))
        {
            return Remaining(fused);
        }

        int best = Sampler.Largest(fused);
        float bestScore = fused[best];
        if (Kind == MaskKind.Rank)
        {
            foreach (DeltaRows delta in deltas)
            {
                BanRaised(fused, delta, (int)Math.Min(Amount, fused.Length));
            }
        }
        else
        {
            KeepCandidates(fused, @base, experts);
        }

        int remaining = Remaining(fused);
        if (remaining > 0)
        {
            return remaining;
        }

        // A member bans every candidate, so the likeliest of the other tokens remains.
        fused[best] = bestScore;
        return 1;
    }

    private void KeepCandidates(Span<float> fused, ReadOnlySpan<float> @base, ReadOnlySpan<ReadOnlyMemory<float>> experts)
    {
        ReadOnlySpan<float> judged = Of == MaskOrigin.Expert ? experts[0].Span : @base;
        Cut cut = CutOf(judged);
        Cut[] ofExperts = Kind == MaskKind.TopK ? new Cut[experts.Length] : [];
        for (int i = 0; i < ofExperts.Length; i++)
        {
            ofExperts[i] = CutOf(experts[i].Span);
        }

        for (int id = 0; id < fused.Length; id++)
        {
            bool kept = cut.Keeps(judged[id], id);
            for (int i = 0; !kept && i < ofExperts.Length; i++)
            {
                kept = ofExperts[i].Keeps(experts[i].Span[id], id);
            }

            if (!kept)
            {
                fused[id] = float.NegativeInfinity;
            }
        }
    }

    private static void BanRaised(Span<float> fused, DeltaRows delta, int k)
    {
        float[] raised = ArrayPool<float>.Shared.Rent(fused.Length);
        Candidate[] candidates = ArrayPool<Candidate>.Shared.Rent(fused.Length);
        Span<float> rise = raised.AsSpan(0, fused.Length);
        TensorPrimitives.Subtract(delta.Minus.Span, delta.Plus.Span, rise);
        for (int id = 0; id < rise.Length; id++)
        {
            // A token that both sides ban is not raised.
            rise[id] = float.IsNaN(rise[id]) ? float.NegativeInfinity : rise[id];
        }

        Selection.Top(rise, k, candidates);
        foreach (Candidate candidate in candidates.AsSpan(0, k))
        {
            fused[candidate.Id] = float.NegativeInfinity;
        }

        ArrayPool<Candidate>.Shared.Return(candidates);
        ArrayPool<float>.Shared.Return(raised);
    }

    private Cut CutOf(ReadOnlySpan<float> row) => Kind switch
    {
        MaskKind.Ratio => new(TensorPrimitives.Max(row) + (float)Math.Log(Amount), int.MaxValue),
        MaskKind.Nucleus => NucleusOf(row, Amount),
        _ => TopOf(row, (int)Math.Min(Amount, row.Length)),
    };

    /// <summary>The last token of the smallest set of likeliest ones whose probability reaches <paramref name="probability"/>.</summary>
    internal static Cut NucleusOf(ReadOnlySpan<float> row, double probability)
    {
        if (probability >= 1)
        {
            return Cut.None;
        }

        Candidate[] candidates = ArrayPool<Candidate>.Shared.Rent(row.Length);
        float[] scores = ArrayPool<float>.Shared.Rent(row.Length);
        float largest = TensorPrimitives.Max(row);
        TensorPrimitives.Subtract(row, largest, scores);
        int last = Nucleus.Last(scores.AsSpan(0, row.Length), (float)probability, candidates).Id;
        ArrayPool<float>.Shared.Return(scores);
        ArrayPool<Candidate>.Shared.Return(candidates);
        return new(row[last], last);
    }

    private static Cut TopOf(ReadOnlySpan<float> row, int k)
    {
        Candidate[] candidates = ArrayPool<Candidate>.Shared.Rent(row.Length);
        Selection.Top(row, k, candidates);
        Cut cut = new(candidates[k - 1].Score, candidates[k - 1].Id);
        ArrayPool<Candidate>.Shared.Return(candidates);
        return cut;
    }

    private static int Remaining(ReadOnlySpan<float> fused) => fused.Length - fused.Count(float.NegativeInfinity);
}

/// <summary>
/// EFT's filter (Mitchell et al. 2023). Outside the expert's nucleus the large model has no effect, and the row stays log p+. The two parts of
/// the row have one softmax, so both are sums of log-probabilities: sum of w_k log p_k inside and log p+ outside.
/// </summary>
/// <param name="Probability">Mass of the nucleus, above 0 to 1. 1 masks nothing.</param>
public sealed record DeltaMask(double Probability)
{
    /// <param name="fused">The weighted sum of logits; receives the row, shifted by <paramref name="normaliser"/>.</param>
    /// <param name="normaliser">The difference between the weighted sum of logits and that of log-probabilities: sum of w_k log sum exp s_k.</param>
    /// <param name="expert">s+, the plus side of the first delta.</param>
    internal void Apply(Span<float> fused, double normaliser, ReadOnlySpan<float> expert)
    {
        Cut nucleus = CandidateMask.NucleusOf(expert, Probability);
        float outside = (float)(normaliser - Logprobs.Normaliser(expert));
        for (int id = 0; id < fused.Length; id++)
        {
            // A token that a member bans stays banned.
            if (!nucleus.Keeps(expert[id], id) && !float.IsNegativeInfinity(fused[id]))
            {
                fused[id] = expert[id] + outside;
            }
        }
    }
}
