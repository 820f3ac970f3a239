using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

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

/// <summary>The last token that truncation keeps, in the order "higher score first, lower id first among equals".</summary>
internal readonly record struct Cut(float Score, int Id)
{
    public static Cut None { get; } = new(float.NegativeInfinity, int.MaxValue);

    public bool Keeps(float score, int id) => score > Score || (score == Score && id <= Id);

    /// <summary>The cut that keeps what both keep.</summary>
    public Cut And(Cut other) => Keeps(other.Score, other.Id) ? other : this;
}

/// <summary>
/// Finds the last token of the smallest set that holds the share p of all mass. A histogram of the scores tells which bin the last one is
/// in, and only that bin is searched, so a flat row of a large vocabulary costs about as much as a peaked one.
/// </summary>
internal static class Nucleus
{
    private const int Block = 512;
    private const int Bins = 2048;

    /// <param name="scores">Logits over temperature, the largest being 0.</param>
    /// <param name="candidates">Working memory, as long as the row.</param>
    public static Candidate Last(ReadOnlySpan<float> scores, float p, Span<Candidate> candidates)
    {
        // The likeliest token alone has mass 1, so what lies below this bound has less than 1 - p of all mass together.
        Histogram histogram = new((float)Math.Log((1 - p) / scores.Length));
        Span<double> bins = stackalloc double[Bins];
        bins.Clear();
        double target = p * Fill(scores, histogram, bins);
        int bin = 0;
        double missing = target, sum = 0;
        for (int i = 0; sum < target; i++)
        {
            (bin, missing) = (i, target - sum);
            sum += bins[i];
        }

        return candidates[Selection.Nucleus(candidates[..Take(scores, histogram, bin, candidates)], missing) - 1];
    }

    /// <summary>Whether a token belongs to the set: what precedes it (a higher score, or the same and a lower id) has less than the share p.</summary>
    /// <param name="scores">Logits over temperature, the largest being 0.</param>
    public static bool Holds(ReadOnlySpan<float> scores, float p, int id)
    {
        double before = 0, total = 0;
        Span<float> mass = stackalloc float[Block];
        for (int start = 0; start < scores.Length; start += Block)
        {
            ReadOnlySpan<float> block = scores.Slice(start, Math.Min(Block, scores.Length - start));
            TensorPrimitives.Exp(block, mass);
            total += TensorPrimitives.Sum<float>(mass[..block.Length]);
            int lowerIds = Math.Clamp(id - start, 0, block.Length);
            before += Above(block[..lowerIds], MathF.BitDecrement(scores[id]), mass) + Above(block[lowerIds..], scores[id], mass[lowerIds..]);
        }

        return before < p * total;
    }

    private static float Above(ReadOnlySpan<float> scores, float bound, ReadOnlySpan<float> mass)
    {
        int i = 0;
        Vector256<float> sums = default, bounds = Vector256.Create(bound);
        for (; i <= scores.Length - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            sums += Vector256.GreaterThan(Vector256.Create(scores[i..]), bounds) & Vector256.Create(mass[i..]);
        }

        float sum = Vector256.Sum(sums);
        for (; i < scores.Length; i++)
        {
            sum += scores[i] > bound ? mass[i] : 0;
        }

        return sum;
    }

    private static double Fill(ReadOnlySpan<float> scores, Histogram histogram, Span<double> bins)
    {
        Span<float> mass = stackalloc float[Block];
        double sum = 0;
        for (int start = 0; start < scores.Length; start += Block)
        {
            ReadOnlySpan<float> block = scores.Slice(start, Math.Min(Block, scores.Length - start));
            TensorPrimitives.Exp(block, mass);
            for (int i = 0; i < block.Length; i++)
            {
                sum += mass[i];
                bins[histogram.Bin(block[i])] += mass[i];
            }
        }

        return sum;
    }

    /// <summary>Collects the tokens of one bin, with the masses that the histogram was filled with: another exponential function rounds otherwise.</summary>
    private static int Take(ReadOnlySpan<float> scores, Histogram histogram, int bin, Span<Candidate> candidates)
    {
        Span<float> mass = stackalloc float[Block];
        int count = 0;
        for (int start = 0; start < scores.Length; start += Block)
        {
            ReadOnlySpan<float> block = scores.Slice(start, Math.Min(Block, scores.Length - start));
            TensorPrimitives.Exp(block, mass);
            for (int i = 0; i < block.Length; i++)
            {
                if (histogram.Bin(block[i]) == bin)
                {
                    candidates[count++] = new(block[i], start + i, mass[i]);
                }
            }
        }

        return count;
    }

    /// <summary>Equal steps from 0 down to a lowest score; the last bin takes all below.</summary>
    private readonly struct Histogram(float lowest)
    {
        private readonly float binsPerUnit = (Bins - 1) / lowest;

        public int Bin(float score) => (int)Math.Min(score * binsPerUnit, Bins - 1f);
    }
}
