using System.Diagnostics;

using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Bench;

/// <summary>What fusing and drawing cost at a real vocabulary's width, without any forward pass.</summary>
internal static class FusedRows
{
    private const int Width = 32_000;
    private const int Positions = 200;

    public static async Task MeasureAsync(Report report, Settings settings)
    {
        var random = new Random(1);
        ReadOnlyMemory<float>[] rows = [.. Enumerable.Range(0, 3).Select(_ => (ReadOnlyMemory<float>)Row(random))];
        float[] weights = [1, 1, -1], fused = new float[Width];
        int[] generated = [.. Enumerable.Range(0, 100).Select(_ => random.Next(Width))];
        var sampled = new SamplingOptions { Temperature = 0.8f };
        (string Name, SamplingOptions? Options)[] cases =
        [
            ("weighted sum of 3 rows alone", null),
            ("and greedy", new() { Temperature = 0 }),
            ("and sampled: temperature 0.8", sampled),
            ("and sampled: temperature 0.8, top-p 0.95", sampled with { TopP = 0.95f }),
            ("and sampled: temperature 0.8, top-k 50, min-p 0.05", sampled with { TopK = 50, MinP = 0.05f }),
            ("and sampled: temperature 0.8, top-p 0.95, all penalties over 100 tokens", sampled with
            {
                TopP = 0.95f, RepetitionPenalty = 1.1f, PresencePenalty = 0.5f, FrequencyPenalty = 0.5f,
            }),
        ];
        Samples[] microseconds = await Samples.InterleaveAsync(
            settings.Rounds, [.. cases.Select(c => (Func<Task<double>>)(() => Task.FromResult(Time(c.Options))))]);
        report.Table(
            $"A fused row of {Width} words, forward passes excluded",
            ["what", "microseconds a row"],
            [.. cases.Zip(microseconds, (c, samples) => new[] { c.Name, samples.Show("0") })]);

        double Time(SamplingOptions? options)
        {
            long start = Stopwatch.GetTimestamp();
            for (int position = 0; position < Positions; position++)
            {
                WeightedSum.Fuse(rows, weights, fused);
                if (options is not null)
                {
                    Sampler.Next(fused, generated, options, position);
                }
            }

            return Stopwatch.GetElapsedTime(start).TotalMicroseconds / Positions;
        }
    }

    /// <summary>Logits as of a model that is fairly sure: normal, with a few words well above the rest.</summary>
    private static float[] Row(Random random)
    {
        float[] row = new float[Width];
        MathNet.Numerics.Distributions.Normal.Samples(random, 0, 2.5).Take(Width).Select(x => (float)x).ToArray().CopyTo(row, 0);
        for (int i = 0; i < 20; i++)
        {
            row[i * 997] += 8;
        }

        return row;
    }
}
