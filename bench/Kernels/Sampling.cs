using BenchmarkDotNet.Attributes;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Kernels;

/// <summary>Measures the draw of a token from a fused row. The position changes with each call because the noise decides how many tokens of the nucleus are read.</summary>
public class Sampling
{
    private static readonly SamplingOptions Plain = new() { Temperature = 0.8f };

    private float[] row = [];
    private TokenCounts generated = new();
    private int position;

    [Params(32_000, 151_936)]
    public int Words { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        row = Rows.Logits(1, Words);
        generated = new();
        for (int i = 0; i < 100; i++)
        {
            generated.Add(i * 311 % Words);
        }

        Warmup.Run(() => Temperature(), () => Nucleus());
    }

    [Benchmark]
    public int Greedy() => Next(Plain with { Temperature = 0 });

    [Benchmark]
    public int Temperature() => Next(Plain);

    [Benchmark]
    public int Nucleus() => Next(Plain with { TopP = 0.95f });

    [Benchmark]
    public int TopKAndMinP() => Next(Plain with { TopK = 50, MinP = 0.05f });

    [Benchmark]
    public int NucleusAndPenalties() => Next(Plain with { TopP = 0.95f, RepetitionPenalty = 1.1f, PresencePenalty = 0.5f, FrequencyPenalty = 0.5f });

    private int Next(SamplingOptions options) => Sampler.Next(row, generated, [], options, position++ & 1023);
}
