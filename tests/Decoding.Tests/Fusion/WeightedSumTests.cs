using CsCheck;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class WeightedSumTests
{
    private static readonly Gen<float> Logit = Gen.Frequency((30, Gen.Float[-20f, 20f]), (1, Gen.Const(float.NegativeInfinity)));

    [Fact]
    public void Fuse_AnyRowsAndWeights_EqualsPlainLoops() =>
        Gen.Select(Logit.Array[17].Array[1, 5], Gen.OneOf(Gen.Float[-2f, 2f], Gen.Const(0f)).Array[5]).Sample((rows, weights) =>
        {
            float[] fused = new float[15];
            Assert.Equal(-1, WeightedSum.Fuse([.. rows.Select(r => new ReadOnlyMemory<float>(r))], weights.AsSpan(0, rows.Length), fused));
            for (int i = 0; i < fused.Length; i++)
            {
                double expected = 0;
                foreach ((float[] row, float weight) in rows.Zip(weights))
                {
                    expected += float.IsNegativeInfinity(row[i]) ? double.NegativeInfinity : weight * (double)row[i];
                }

                Assert.Equal(expected, fused[i], 1e-5);
            }
        });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Fuse_UnsoundRow_ReturnsItsIndex(float logit)
    {
        foreach (float weight in new[] { 1f, 0f, -1f })
        {
            float[] fused = new float[3];
            Assert.Equal(1, WeightedSum.Fuse([new float[] { 1, float.NegativeInfinity, 2 }, new float[] { 1, 2, logit }], [1, weight], fused));
        }
    }

    [Fact]
    public void Fuse_SumOverflows_ReturnsTheNumberOfRows() =>
        Assert.Equal(2, WeightedSum.Fuse([new[] { float.MaxValue }, new[] { float.MaxValue }], [1, 1], new float[1]));
}
