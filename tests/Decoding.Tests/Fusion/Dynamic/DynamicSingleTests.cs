using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class DynamicSingleTests
{
    private readonly DynamicFusion closed = new(new());
    private readonly DynamicFusion grid = new(new() { Search = DynamicSearch.Grid });

    [Theory]
    [InlineData(1, 7000)]
    [InlineData(2, 2000)]
    [InlineData(3, 150)]
    [InlineData(4, 1000)]
    public void Choose_RandomRows_IsTheMinimumOfTheLoss(int experts, int cases)
    {
        Random random = new(experts);
        int unique = 0;
        for (int i = 0; i < cases; i++)
        {
            // Most rows are narrow because the oracle is slow. Some use a finer grid.
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, experts, i % 100 == 0 ? random.Next(500, 2000) : random.Next(40, 100));
            LossCheck check = new(rows, i % 50 == 1 ? 100 : 10);
            check.ClosedForm(rows.Choose(closed).Factors);
            check.Grid(rows.Choose(grid).Factors);
            unique += check.IsUnique ? 1 : 0;
        }

        // Checks that nearly all rows were compared.
        Assert.InRange(unique, 0.85 * cases, cases);
    }

    [Fact]
    public void Choose_BaseIsAntiExpert_GivesTheExpert()
    {
        Random random = new(3);
        for (int i = 0; i < 300; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 1, 60);
            float[] plus = RandomDeltaRows.Row(random, 60, 3);
            RandomDeltaRows equal = new(rows.Base, (plus, rows.Base));
            (double[] factors, bool saturated) = equal.Choose(closed);
            Assert.False(saturated);
            Assert.InRange(new SlowDynamicFusion(equal).Distance(factors, [1]), 0, 1e-6);
            Assert.Equal(1, equal.Choose(grid).Factors[0], 1e-6);
        }
    }

    [Fact]
    public void Choose_DeltaIsConstant_GivesOne()
    {
        float[] row = RandomDeltaRows.Row(new(4), 50, 3);
        float[] shifted = [.. row.Select(x => x + 2)], rounded = [.. row.Select(x => x + 5e-7f)];
        foreach (float[] plus in new[] { row, shifted, rounded })
        {
            foreach (DynamicFusion rule in new[] { closed, grid })
            {
                AssertChosen([1], false, new RandomDeltaRows(RandomDeltaRows.Row(new(5), 50, 1), (plus, row)).Choose(rule, 0.3f));
            }
        }
    }

    [Fact]
    public void Choose_OneDeltaOfSeveralIsConstant_ChangesOnlyTheOtherFactor()
    {
        RandomDeltaRows rows = RandomDeltaRows.Draw(new(6), 1, 50);
        float[] anti = rows.Deltas[0].Minus!;
        RandomDeltaRows two = new(rows.Base, (anti, anti), rows.Deltas[0]);
        (double[] factors, _) = two.Choose(closed);
        Assert.Equal(0, factors[0]);
        Assert.InRange(factors[1], 0.01, 2);
        new LossCheck(two).ClosedForm(factors);
    }

    [Fact]
    public void Choose_TargetOutOfReach_SaturatesAndReportsIt()
    {
        float[] sure = RandomDeltaRows.Row(new(7), 50, 1), surer = [.. sure], anti = RandomDeltaRows.Row(new(8), 50, 1), plus = RandomDeltaRows.Row(new(9), 50, 1);
        sure[3] += 15;
        surer[3] += 40;
        foreach (DynamicFusion rule in new[] { closed, grid })
        {
            AssertChosen([2], true, new RandomDeltaRows(sure, (plus, anti)).Choose(rule, 0.5f));
        }

        // Here the loss is constant in double precision, but its derivative is not.
        AssertChosen([2], true, new RandomDeltaRows(surer, (plus, anti)).Choose(closed, 0.5f));
        AssertChosen([0.5], true, new RandomDeltaRows(sure, (plus, anti)).Choose(new DynamicFusion(new() { Maximum = 0.5f })));
    }

    [Fact]
    public void Choose_BannedTokens_HaveNoEffect()
    {
        Random random = new(10);
        for (int i = 0; i < 300; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 3, 80);
            (double[] expected, bool saturated) = rows.Allowed().Choose(closed);
            AssertChosen(expected, saturated, rows.Choose(closed));
        }
    }

    [Fact]
    public void Choose_AllTokensBanned_GivesOne()
    {
        float[] none = [float.NegativeInfinity, 1], other = [1, float.NegativeInfinity];
        AssertChosen([1], false, new RandomDeltaRows(none, (other, [1, 2])).Choose(closed));
    }

    [Fact]
    public void Choose_ExpertsAreEqual_KeepsTheExpertOfThePreviousToken()
    {
        RandomDeltaRows rows = RandomDeltaRows.Draw(new(11), 1, 50);
        RandomDeltaRows twice = new(rows.Base, rows.Deltas[0], rows.Deltas[0]);
        foreach (float maximum in new[] { 0.1f, 2 })
        {
            DynamicFusion rule = new(new() { Maximum = maximum });
            double a = rows.Choose(rule).Factors[0];
            Assert.Equal([a, 0], twice.Choose(rule, 1, 0).Factors);
            Assert.Equal([0, a], twice.Choose(rule, 0, 1).Factors);
        }
    }

    [Fact]
    public void Choose_FactorsHoldOtherNumbers_ReplacesThemAll()
    {
        RandomDeltaRows rows = RandomDeltaRows.Draw(new(13), 3, 50);
        float[] factors = [7, 8, 9];
        closed.Choose(new(rows.Base, [.. rows.Deltas.Select(d => new DeltaRows(d.Plus, d.Minus))], default), factors);
        Assert.Equal(rows.Choose(closed).Factors, factors.Select(f => (double)f));
        Assert.Equal(2, factors.Count(f => f == 0));
    }

    [Fact]
    public void Choose_ManyTokensInARow_AllocatesNothing()
    {
        float[] factors = new float[2], previous = [1, 0];
        RandomDeltaRows rows = RandomDeltaRows.Draw(new(12), 2, 500);
        DeltaRows[] deltas = [.. rows.Deltas.Select(d => new DeltaRows(d.Plus, d.Minus))];
        foreach (DynamicMode mode in Enum.GetValues<DynamicMode>())
        {
            DynamicFusion rule = new(new() { Mode = mode });
            rule.Choose(new(rows.Base, deltas, previous), factors);
            long before = GC.GetAllocatedBytesForCurrentThread();
            rule.Choose(new(rows.Base, deltas, previous), factors);
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(-1f)]
    [InlineData(11f)]
    [InlineData(float.NaN)]
    public void Create_MaximumOutOfRange_NamesIt(float maximum) =>
        Assert.Equal("maximum", Assert.Throws<EngineException>(() => new DynamicFusion(new() { Maximum = maximum })).Field);

    private static void AssertChosen(double[] factors, bool saturated, (double[] Factors, bool Saturated) actual)
    {
        Assert.Equal(factors, actual.Factors);
        Assert.Equal(saturated, actual.Saturated);
    }
}
