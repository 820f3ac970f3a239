using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Sampling;

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
        for (int i = 0; i < Bins && sum < target; i++)
        {
            if (bins[i] > 0)
            {
                (bin, missing) = (i, target - sum);
                sum += bins[i];
            }
        }

        int count = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            if (histogram.Bin(scores[i]) == bin)
            {
                candidates[count++] = new(scores[i], i, MathF.Exp(scores[i]));
            }
        }

        return candidates[Selection.Nucleus(candidates[..count], missing) - 1];
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

    /// <summary>Equal steps from 0 down to a lowest score; the last bin takes all below.</summary>
    private readonly struct Histogram(float lowest)
    {
        private readonly float binsPerUnit = (Bins - 1) / lowest;

        public int Bin(float score) => (int)Math.Min(score * binsPerUnit, Bins - 1f);
    }
}
