using System.Buffers;

namespace ProxyTune.Decoding.Sampling;

/// <summary>
/// Top-k, then top-p of what top-k kept, renormalised (Holtzman et al. 2020), then min-p (Nguyen et al. 2024). Each keeps a leading part
/// of the tokens ordered by score, so together they are one <see cref="Cut"/>.
/// </summary>
internal static class Truncation
{
    /// <param name="scores">Logits over temperature, the largest being 0.</param>
    public static Cut Find(ReadOnlySpan<float> scores, SamplingOptions options)
    {
        Cut cut = MinP(options);
        bool limited = options.TopK > 0 && options.TopK < scores.Length;
        if (!limited && options.TopP >= 1)
        {
            return cut;
        }

        Candidate[] rented = ArrayPool<Candidate>.Shared.Rent(scores.Length);
        Candidate last = limited ? TopK(scores, options, rented) : Nucleus.Last(scores, options.TopP, rented);
        ArrayPool<Candidate>.Shared.Return(rented);
        return cut.And(new(last.Score, last.Id));
    }

    /// <summary>What min-p alone keeps: all tokens where it is 0, whose logarithm is minus infinity.</summary>
    public static Cut MinP(SamplingOptions options) => new(MathF.Log(options.MinP), int.MaxValue);

    private static Candidate TopK(ReadOnlySpan<float> scores, SamplingOptions options, Span<Candidate> candidates)
    {
        Selection.Top(scores, options.TopK, candidates);
        if (options.TopP >= 1)
        {
            return candidates[options.TopK - 1];
        }

        candidates = candidates[..options.TopK];
        double mass = 0;
        foreach (ref Candidate candidate in candidates)
        {
            candidate = candidate with { Mass = MathF.Exp(candidate.Score) };
            mass += candidate.Mass;
        }

        return candidates[Selection.Nucleus(candidates, options.TopP * mass) - 1];
    }
}
