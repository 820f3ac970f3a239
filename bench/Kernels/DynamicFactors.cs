using BenchmarkDotNet.Attributes;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Kernels;

/// <summary>Measures the search for the factors of one position. The weighted sum is not included.</summary>
public class DynamicFactors
{
    private readonly DynamicFusion single = new(new() { Mode = DynamicMode.Single }), joint = new(new() { Mode = DynamicMode.Joint });
    private float[] large = [];
    private DeltaRows[] one = [], three = [];

    [Params(32_000, 151_936)]
    public int Words { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        large = Rows.Logits(1, Words);
        float[] antiExpert = Rows.Logits(2, Words);
        three = [.. Enumerable.Range(3, 3).Select(seed => new DeltaRows(Rows.Tuned(antiExpert, seed), antiExpert))];
        one = three[..1];
        Warmup.Run(() => SingleWithOneExpert(), () => JointWithThreeExperts());
    }

    [Benchmark]
    public float SingleWithOneExpert() => Choose(single, one);

    [Benchmark]
    public float SingleWithThreeExperts() => Choose(single, three);

    [Benchmark]
    public float JointWithThreeExperts() => Choose(joint, three);

    private float Choose(DynamicFusion rule, DeltaRows[] deltas)
    {
        Span<float> factors = stackalloc float[deltas.Length];
        rule.Choose(new(large, deltas, []), factors);
        return factors[0];
    }
}
