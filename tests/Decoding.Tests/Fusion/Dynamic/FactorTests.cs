using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Which of two factors is chosen, and what is said of one at the upper end.</summary>
public sealed class FactorTests
{
    private static readonly Divergences Target = new(3, 4);

    [Theory]
    [InlineData(0, 2, 1)]
    [InlineData(1.5, 2, 1.5)]
    [InlineData(0, 0.5, 0.5)]
    public void Neutral_AnyInterval_IsTheFactorNearestToOne(float minimum, float maximum, float expected) =>
        Assert.Equal(expected, new Interval(minimum, maximum).Neutral);

    [Fact]
    public void Nearest_FactorOutsideTheInterval_IsTheNearerEnd() =>
        Assert.Equal([0.5, 1, 2], new[] { 0.1, 1, 2.5 }.Select(new Interval(0.5f, 2).Nearest));

    [Fact]
    public void IsBetter_MisfitsDiffer_IsTheLesser()
    {
        Assert.True(new Factor(1, 1, false).IsBetter(new(2, 2, false), Target, moreChange: 1));
        Assert.False(new Factor(1, 2, false).IsBetter(new(2, 1, false), Target, moreChange: -1));

        // 1e-6 of the target's size, 5, is noise; twice as much is none.
        Assert.True(new Factor(1, 1, false).IsBetter(new(2, 1 + 1e-5, false), Target, moreChange: 1));
    }

    [Fact]
    public void IsBetter_MisfitsAreEqualUpToNoise_IsTheLesserChange()
    {
        foreach (double difference in new[] { 0, 4e-6, -4e-6 })
        {
            Assert.True(new Factor(1, 1 + difference, false).IsBetter(new(2, 1, false), Target, moreChange: -0.1));
            Assert.False(new Factor(1, 1 + difference, false).IsBetter(new(2, 1, false), Target, moreChange: 0.1));
            Assert.False(new Factor(1, 1 + difference, false).IsBetter(new(2, 1, false), Target, moreChange: 0));
        }
    }

    /// <summary>KL(F || P) = a mean - log Z = 1, KL(P || F) = log Z = 1, variance 3.</summary>
    [Theory]
    [InlineData(2, 5, 5, true)]
    [InlineData(2, 0.5, 0.5, false)]
    [InlineData(2.5, 5, 5, false)]
    public void Factor_AtTheUpperEnd_IsSaturatedWhereTheLossStillFalls(float maximum, double forward, double backward, bool saturated)
    {
        Factor factor = new Misfit(new Tilt(2, 1, 1, 3), new(forward, backward)).Factor(maximum);
        Assert.Equal(2, factor.Value);
        Assert.Equal(Math.Sqrt(Math.Pow(1 - forward, 2) + Math.Pow(1 - backward, 2)), factor.Misfit, 1e-12);
        Assert.Equal(saturated, factor.Saturated);
    }

    [Fact]
    public void Slope_AnyTilt_IsHalfTheDerivativeOfTheLoss()
    {
        Misfit misfit = new(new Tilt(2, 1, 1, 3), new(0.5, 4));
        Assert.Equal(((1 - 0.5) * 2 * 3) + ((1 - 4) * 1), misfit.Slope, 1e-12);
        Assert.Equal(1 - Math.Sqrt(0.5), misfit.Forward, 1e-12);
        Assert.Equal(1 - 2, misfit.Backward, 1e-12);
    }

    [Fact]
    public void Moved_RoundingWentBelowZero_IsZero() => Assert.Equal(default, new Tilt(1, -1e-18, -1e-17, 1).Moved);
}
