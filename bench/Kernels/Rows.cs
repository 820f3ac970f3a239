using MathNet.Numerics.Distributions;

namespace ProxyTune.Kernels;

internal static class Rows
{
    /// <summary>Logits as of a model that is fairly sure: normal, with a few words well above the rest.</summary>
    public static float[] Logits(int seed, int width)
    {
        float[] row = [.. Normal.Samples(new Random(seed), 0, 2.5).Take(width).Select(x => (float)x)];
        for (int i = 0; i < 20; i++)
        {
            row[i * 997 % width] += 8;
        }

        return row;
    }

    /// <summary>What tuning makes of a model: its row, and a normal change.</summary>
    public static float[] Tuned(float[] row, int seed) =>
        [.. row.Zip(Normal.Samples(new Random(seed), 0, 1), (logit, change) => logit + (float)change)];
}
