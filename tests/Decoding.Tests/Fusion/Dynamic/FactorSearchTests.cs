using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class FactorSearchTests
{
    // As a grows, the second token overtakes the first at 0.5 and the third the second at 1.25, and KL(F_a || P) rises in two steps. For a
    // target between them and a small KL(P || F_a), the loss has a minimum at each step.
    private const double Between = 0.9;
    private static readonly RandomDeltaRows Steps = new([0, -5, -15], ([0, 10, 18], null));

    private static readonly Interval Whole = new(0, 2);

    private readonly SlowDynamicFusion oracle = new(Steps);
    private readonly TiltedFamily family = new();

    public FactorSearchTests() => family.Load(Steps.Base, new DeltaRows(Steps.Deltas[0].Plus, default), 2);

    [Fact]
    public void Solve_TwoMinima_TakesTheLowerOrTheNearerOfEqualOnes()
    {
        double equal = TargetOfEqualMinima();
        foreach (DynamicSearch search in Enum.GetValues<DynamicSearch>())
        {
            FactorSearch searching = new(search, Whole);
            Assert.InRange(searching.Solve(family, new(equal - 0.5, 0), 1.6).Value, 0, Between);
            Assert.InRange(searching.Solve(family, new(equal + 0.5, 0), 0.3).Value, Between, 2);
        }

        FactorSearch closed = new(DynamicSearch.ClosedForm, Whole);
        Assert.InRange(closed.Solve(family, new(equal, 0), 0.3).Value, 0, Between);
        Assert.InRange(closed.Solve(family, new(equal, 0), 1.6).Value, Between, 2);
    }

    [Fact]
    public void Solve_TargetIsReached_LeavesNoMisfit()
    {
        foreach (double a in new[] { 0, 0.3, 0.5, 0.51, 1.24, 1.9999 })
        {
            (double forward, double backward) = oracle.Moved(a);
            Factor factor = new FactorSearch(DynamicSearch.ClosedForm, Whole).Solve(family, new(forward, backward), 1);
            Assert.Equal(a, factor.Value, 1e-6);
            Assert.Equal(0, factor.Misfit, 1e-5);
            Assert.False(factor.Saturated);
        }
    }

    [Theory]
    [InlineData(0.3, 0.5, 0.5)]
    [InlineData(1.6, 0.5, 1.6)]
    public void Solve_Floor_IsTheSmallestFactor(double reached, float floor, double expected)
    {
        (double forward, double backward) = oracle.Moved(reached);
        foreach (DynamicSearch search in Enum.GetValues<DynamicSearch>())
        {
            Assert.Equal(expected, new FactorSearch(search, new(floor, 2)).Solve(family, new(forward, backward), 0).Value, 1e-3);
        }
    }

    /// <summary>Both minima can lie between the roots of the two divergences.</summary>
    [Fact]
    public void Solve_AnyTarget_IsNoWorseThanAFineGrid()
    {
        (double Forward, double Backward)[] moved = [.. Enumerable.Range(0, 2001).Select(i => oracle.Moved(i / 1000.0))];
        FactorSearch closed = new(DynamicSearch.ClosedForm, Whole);
        for (double forward = 0.5; forward < 18; forward += 0.5)
        {
            for (double backward = 0.25; backward < 20; backward += 0.75)
            {
                Factor factor = closed.Solve(family, new(forward, backward), 1);
                double best = moved.Min(m => double.Hypot(m.Forward - forward, m.Backward - backward));
                Assert.True(factor.Misfit <= best + 1e-5, $"The misfit at {factor.Value} is {factor.Misfit}, on the grid {best}, for the targets {forward} and {backward}.");
            }
        }
    }

    /// <summary>The grid begins at the minimum and ends at the maximum.</summary>
    [Theory]
    [InlineData(0, 2)]
    [InlineData(0.5, 2)]
    [InlineData(0.3, 1.7)]
    public void Solve_GridAndTargetBeyondTheMaximum_GivesTheMaximum(float minimum, float maximum)
    {
        (double forward, double backward) = oracle.Moved(3);
        Factor factor = new FactorSearch(DynamicSearch.Grid, new(minimum, maximum)).Solve(family, new(forward, backward), minimum);
        Assert.Equal(maximum, factor.Value, 1e-6);
        Assert.True(factor.Saturated);
    }

    /// <summary>Finds the forward target at which the two minima of the oracle's loss are equal.</summary>
    private double TargetOfEqualMinima()
    {
        (double low, double high) = (8, 15);
        while (high - low > 1e-10)
        {
            double middle = (low + high) / 2;
            (low, high) = Lowest(middle, 0.4, Between) < Lowest(middle, Between, 1.6) ? (middle, high) : (low, middle);
        }

        return low;
    }

    private double Lowest(double target, double from, double to)
    {
        double ratio = (Math.Sqrt(5) - 1) / 2;
        while (to - from > 1e-10)
        {
            double left = to - (ratio * (to - from)), right = from + (ratio * (to - from));
            (from, to) = Loss(left) < Loss(right) ? (from, right) : (left, to);
        }

        return Loss(from);

        double Loss(double a)
        {
            (double forward, double backward) = oracle.Moved(a);
            return Math.Pow(forward - target, 2) + Math.Pow(backward, 2);
        }
    }
}
