using MathNet.Numerics.Distributions;

namespace ProxyTune.Kernels;

internal static class Rows
{
    /// <summary>Logits that resemble those of a confident model: normal values, with 20 tokens raised by 8.</summary>
    public static float[] Logits(int seed, int width)
    {
        float[] row = [.. Normal.Samples(new Random(seed), 0, 2.5).Take(width).Select(x => (float)x)];
        for (int i = 0; i < 20; i++)
        {
            row[i * 997 % width] += 8;
        }

        return row;
    }

    /// <summary>Logits of a tuned model: the row of the untuned model plus normal noise.</summary>
    public static float[] Tuned(float[] row, int seed) =>
        [.. row.Zip(Normal.Samples(new Random(seed), 0, 1), (logit, change) => logit + (float)change)];
}
