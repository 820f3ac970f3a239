using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class TiltedFamilyTests
{
    [Fact]
    public void At_RandomRows_EqualsPlainLoopsAndRisesWithTheFactor()
    {
        Random random = new(1);
        for (int i = 0; i < 500; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 1, random.Next(10, 300)).Allowed();
            SlowDynamicFusion oracle = new(rows);
            TiltedFamily family = Load(rows);
            AssertClose(oracle.Targets[0].Forward, family.Tuning.Forward);
            AssertClose(oracle.Targets[0].Backward, family.Tuning.Backward);
            Divergences before = default;
            for (double a = 0; a <= 2; a += 0.25)
            {
                Tilt tilt = family.At(a);
                (double forward, double backward) = oracle.Moved(a);
                (double mean, double variance) = oracle.Moments(0, a);
                AssertClose(forward, tilt.Moved.Forward);
                AssertClose(backward, tilt.Moved.Backward);
                Assert.Equal(mean, tilt.Mean + family.Centre, 1e-6 * (1 + Math.Abs(mean)));
                Assert.Equal(variance, tilt.Variance, 1e-5 * (1e-5 + variance));
                Assert.True(tilt.Moved.Forward >= before.Forward - 1e-14 && tilt.Moved.Backward >= before.Backward - 1e-14);
                before = tilt.Moved;
            }
        }
    }

    /// <summary>Tests rows with far more tokens than bins, where cumulants replace the tokens of a bin.</summary>
    [Theory]
    [InlineData(0.001)]
    [InlineData(1)]
    [InlineData(12)]
    public void At_WideRow_EqualsPlainLoops(double scale)
    {
        Random random = new(2);
        float[] anti = RandomDeltaRows.Row(random, 40_000, 3), plus = [.. anti.Zip(RandomDeltaRows.Row(random, 40_000, scale), (x, y) => x + y)];
        RandomDeltaRows rows = new(RandomDeltaRows.Row(random, 40_000, 3), (plus, anti));
        SlowDynamicFusion oracle = new(rows);
        TiltedFamily family = Load(rows);
        foreach (double a in new[] { 0.1, 1, 2 })
        {
            (double forward, double backward) = oracle.Moved(a);
            Assert.Equal(forward, family.At(a).Moved.Forward, 1e-14 + (1e-7 * forward));
            Assert.Equal(backward, family.At(a).Moved.Backward, 1e-14 + (1e-7 * backward));
        }

        Assert.Equal(oracle.Targets[0].Forward, family.Tuning.Forward, 1e-14 + (1e-7 * oracle.Targets[0].Forward));
        Assert.Equal(oracle.Targets[0].Backward, family.Tuning.Backward, 1e-14 + (1e-7 * oracle.Targets[0].Backward));
    }

    /// <summary>Tests the worst case of a bin: two tokens hold all mass, unevenly.</summary>
    [Fact]
    public void At_TokensShareABin_EqualsPlainLoops()
    {
        RandomDeltaRows rows = new([0, -1.5f, -60, -60], ([0.001f, 0.03f, -16, 16], null));
        (double forward, double backward) = new SlowDynamicFusion(rows).Moved(2);
        Divergences moved = Load(rows).At(2).Moved;
        Assert.Equal(forward, moved.Forward, 1e-4 * forward);
        Assert.Equal(backward, moved.Backward, 1e-4 * backward);
    }

    /// <summary>The mean and the variance of the tokens within a bin change with the factor, as far as the tokens lie unevenly around their mean.</summary>
    [Fact]
    public void At_TokensShareABin_GivesTheirMomentsAtTheFactor()
    {
        RandomDeltaRows rows = new([0, -1.5f, -60, -60], ([0.001f, 0.03f, -16, 16], null));
        SlowDynamicFusion oracle = new(rows);
        Tilt tilt = Load(rows).At(2);
        (double mean, double variance) = oracle.Moments(0, 2);
        Assert.Equal(mean - oracle.Moments(0, 0).Mean, tilt.Mean, 1e-3 * mean);
        Assert.Equal(variance, tilt.Variance, 2e-3 * variance);
    }

    /// <summary>A constant that is added to all logits of a row changes no distribution, also where its exponential is beyond all numbers.</summary>
    [Fact]
    public void Load_RowsWithLargeConstants_GivesTheSameDistributions()
    {
        Random random = new(3);
        RandomDeltaRows rows = new(RandomDeltaRows.Eighths(random, 600), (RandomDeltaRows.Eighths(random, 600), RandomDeltaRows.Eighths(random, 600)));
        TiltedFamily expected = Load(rows), actual = Load(rows.Shifted(5000, 3000, -2000));
        AssertClose(expected.Tuning.Forward, actual.Tuning.Forward);
        AssertClose(expected.Tuning.Backward, actual.Tuning.Backward);
        Assert.Equal(expected.Centre + 5000, actual.Centre, 1e-6);
        AssertClose(expected.At(1.5).Moved.Forward, actual.At(1.5).Moved.Forward);
        AssertClose(expected.At(1.5).Moved.Backward, actual.At(1.5).Moved.Backward);
    }

    private static TiltedFamily Load(RandomDeltaRows rows)
    {
        TiltedFamily family = new();
        family.Load(rows.Base, new DeltaRows(rows.Deltas[0].Plus, rows.Deltas[0].Minus), 2);
        return family;
    }

    private static void AssertClose(double expected, double actual) => Assert.Equal(expected, actual, 1e-12 + (1e-6 * expected));
}
