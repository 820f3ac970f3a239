using System.Diagnostics;
using MathNet.Numerics.Distributions;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Bench;

/// <summary>Measures fusion and the draw for real vocabulary sizes, without forward passes.</summary>
internal static class FusedRows
{
    private const int Width = 32_000;
    private const int Positions = 200;

    public static async Task MeasureAsync(Report report, Settings settings)
    {
        SamplingOptions sampled = new() { Temperature = 0.8f };
        (string Name, SamplingOptions? Options)[] cases =
        [
            ("weighted sum of 3 rows", null),
            ("sum and draw, greedy", new() { Temperature = 0 }),
            ("sum and draw, temperature 0.8", sampled),
            ("sum and draw, temperature 0.8, top-p 0.95", sampled with { TopP = 0.95f }),
            ("sum and draw, temperature 0.8, top-k 50, min-p 0.05", sampled with { TopK = 50, MinP = 0.05f }),
            ("sum and draw, temperature 0.8, top-p 0.95, all penalties over 100 tokens", sampled with
            {
                TopP = 0.95f, RepetitionPenalty = 1.1f, PresencePenalty = 0.5f, FrequencyPenalty = 0.5f,
            }),
        ];
        Samples[] microseconds = await Samples.InterleaveAsync(
            settings.Rounds, [.. cases.Select(c => Timing(Width, c.Options))]);
        report.Table(
            $"A fused row of {Width} words, forward passes excluded",
            ["work", "microseconds a row"],
            [.. cases.Zip(microseconds, (c, samples) => new[] { c.Name, samples.Show("0") })]);
        await MeasureDynamicAsync(report, settings);
    }

    /// <returns>Measures a weighted sum of three rows, and a draw if there are options, in microseconds.</returns>
    public static Func<Task<double>> Timing(int width, SamplingOptions? options)
    {
        Random random = new(1);
        ReadOnlyMemory<float>[] rows = [.. Enumerable.Range(0, 3).Select(_ => (ReadOnlyMemory<float>)Row(random, width))];
        float[] weights = [1, 1, -1], fused = new float[width];
        TokenCounts generated = new();
        for (int i = 0; i < 100; i++)
        {
            generated.Add(random.Next(width));
        }

        return () =>
        {
            long start = Stopwatch.GetTimestamp();
            for (int position = 0; position < Positions; position++)
            {
                WeightedSum.Fuse(rows, weights, fused);
                if (options is not null)
                {
                    Sampler.Next(fused, generated, [], options, position);
                }
            }

            return Task.FromResult(Stopwatch.GetElapsedTime(start).TotalMicroseconds / Positions);
        };
    }

    /// <returns>Measures the search for the factors of one position, in microseconds.</returns>
    public static Func<Task<double>> Timing(DynamicFusion rule, int experts, int width)
    {
        Random random = new(2);
        float[] @base = Row(random, width), anti = Row(random, width), factors = new float[experts];
        DeltaRows[] deltas = new DeltaRows[experts];
        for (int t = 0; t < experts; t++)
        {
            deltas[t] = new(anti.Zip(Normal.Samples(random, 0, 1), (s, d) => s + (float)d).ToArray(), anti);
        }

        return () =>
        {
            long start = Stopwatch.GetTimestamp();
            for (int position = 0; position < Positions / 10; position++)
            {
                rule.Choose(new(@base, deltas, []), factors);
            }

            return Task.FromResult(Stopwatch.GetElapsedTime(start).TotalMicroseconds / (Positions / 10));
        };
    }

    private static async Task MeasureDynamicAsync(Report report, Settings settings)
    {
        int[] widths = [1_776, Width, 151_936];
        (string Name, int Experts, DynamicMode Mode)[] cases =
            [("single, 1 expert", 1, DynamicMode.Single), ("single, 3 experts", 3, DynamicMode.Single), ("joint, 3 experts", 3, DynamicMode.Joint)];
        List<string[]> table = [];
        foreach ((string name, int experts, DynamicMode mode) in cases)
        {
            Samples[] microseconds = await Samples.InterleaveAsync(
                settings.Rounds, [.. widths.Select(width => Timing(new DynamicFusion(new() { Mode = mode }), experts, width))]);
            table.Add([name, .. microseconds.Select(samples => samples.Show("0"))]);
        }

        report.Table("Dynamic fusion: the factors of one position, microseconds", ["rule", .. widths.Select(width => $"{width} words")], [.. table]);
    }

    /// <summary>Logits that resemble those of a confident model: normal values, with 20 tokens raised by 8.</summary>
    private static float[] Row(Random random, int width)
    {
        float[] row = [.. Normal.Samples(random, 0, 2.5).Take(width).Select(x => (float)x)];
        for (int i = 0; i < 20; i++)
        {
            row[i * 997 % width] += 8;
        }

        return row;
    }
}
