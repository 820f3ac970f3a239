using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

/// <summary>The sampling chain with sorting, plain loops and probabilities in double precision.</summary>
internal static class SamplerOracle
{
    /// <summary>
    /// Logits after bias, penalties and temperature, relative to the largest, step by step in single precision as the rows are: whether two
    /// tokens are equal (1e-14 + 7.75 and 0 + 7.75 are) decides which of them a cut keeps.
    /// </summary>
    public static double[] Scores(float[] row, int[] generated, SamplingOptions options)
    {
        float[] scores = [.. row];
        foreach ((int id, float bias) in options.LogitBias)
        {
            scores[id] += bias;
        }

        foreach (int id in generated.Distinct())
        {
            scores[id] = scores[id] > 0 ? scores[id] / options.RepetitionPenalty : scores[id] * options.RepetitionPenalty;
            scores[id] -= options.PresencePenalty;
        }

        foreach (int id in generated)
        {
            scores[id] -= options.FrequencyPenalty;
        }

        float largest = scores.Max();
        return [.. scores.Select(s => (double)((s - largest) / options.Temperature))];
    }

    /// <summary>The kept tokens, likeliest first.</summary>
    /// <param name="slack">Added to the target of the nucleus, to bound the effect of rounding.</param>
    public static List<int> Kept(double[] scores, SamplingOptions options, double slack = 0)
    {
        double[] mass = [.. scores.Select(Math.Exp)];
        List<int> order = [.. Enumerable.Range(0, scores.Length).OrderByDescending(i => scores[i]).ThenBy(i => i)];
        if (options.TopK > 0)
        {
            order = [.. order.Take(options.TopK)];
        }

        if (options.TopP < 1)
        {
            double target = (options.TopP + slack) * order.Sum(i => mass[i]), sum = 0;
            int count = 0;
            while (count < order.Count && sum < target)
            {
                sum += mass[order[count++]];
            }

            order = [.. order.Take(Math.Max(1, count))];
        }

        return [.. order.Where(i => mass[i] >= Math.Min(1, options.MinP * (1 + slack)))];
    }

    public static int Draw(double[] scores, List<int> kept, SamplingOptions options, int position)
    {
        GumbelNoise noise = new(options.Seed, position);
        return kept.OrderBy(i => i).MaxBy(i => scores[i] + noise[i]);
    }
}
