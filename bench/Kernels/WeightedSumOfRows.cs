using BenchmarkDotNet.Attributes;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Kernels;

/// <summary>Measures the weighted sum over base, expert and anti-expert, and over six streams.</summary>
public class WeightedSumOfRows
{
    private ReadOnlyMemory<float>[] rows = [];
    private float[] weights = [], fused = [];

    [Params(32_000, 151_936)]
    public int Words { get; set; }

    [Params(3, 6)]
    public int Streams { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        rows = [.. Enumerable.Range(0, Streams).Select(stream => (ReadOnlyMemory<float>)Rows.Logits(stream, Words))];
        weights = [.. Enumerable.Range(0, Streams).Select(stream => stream + 1 < Streams ? 1f : -1f)];
        fused = new float[Words];
        Warmup.Run(() => Fuse());
    }

    [Benchmark]
    public int Fuse() => WeightedSum.Fuse(rows, weights, fused);
}
