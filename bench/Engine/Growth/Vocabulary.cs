using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Bench.Growth;

/// <summary>Measures fusion and the draw by size of the vocabulary, without a model.</summary>
internal static class Vocabulary
{
    public static async Task<Curve> MeasureAsync(int rounds)
    {
        int[] sizes = [2_000, 8_000, 32_000, 64_000, 128_000, 151_936];
        Samples[] greedy = await Samples.InterleaveAsync(rounds, [.. sizes.Select(size => FusedRows.Timing(size, new() { Temperature = 0 }))]);
        Samples[] sampled = await Samples.InterleaveAsync(rounds, [.. sizes.Select(size => FusedRows.Timing(size, new() { Temperature = 0.8f, TopP = 0.95f }))]);
        Samples[] factors = await Samples.InterleaveAsync(rounds, [.. sizes.Select(size => FusedRows.Timing(new DynamicFusion(new()), 1, size))]);
        return new(
            "A fused row by size of the vocabulary, forward passes excluded",
            "vocabulary",
            sizes,
            "microseconds",
            ("weighted sum, greedy", greedy),
            ("weighted sum, temperature 0.8, top-p 0.95", sampled),
            ("factors of dynamic fusion, one expert", factors));
    }
}
