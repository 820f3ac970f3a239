using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class DynamicJointTests
{
    private readonly DynamicFusion joint = new(new() { Mode = DynamicMode.Joint });
    private readonly DynamicFusion single = new(new());

    [Fact]
    public void Choose_RandomRows_MeetsTheConditionsOfTheMinimum()
    {
        Random random = new(1);
        for (int i = 0; i < 2000; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, random.Next(2, 5), random.Next(30, 150));
            new JointObjective(rows, single).AssertMinimum(rows.Choose(joint).Factors);
        }
    }

    [Fact]
    public void Choose_TwoExperts_IsAtMostTheMinimumOnAGrid()
    {
        Random random = new(2);
        for (int i = 0; i < 200; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 2, 50);
            double[] a = rows.Choose(joint).Factors;
            JointObjective objective = new(rows, single);
            double lowest = objective.Value(a);
            for (double x = 0; x <= 2; x += 0.05)
            {
                for (double y = 0; y <= 2; y += 0.05)
                {
                    Assert.True(objective.Value(x, y) >= lowest - (1e-9 * (1 + Math.Abs(lowest))), $"case {i}: {x} {y} is lower than {a[0]} {a[1]}");
                }
            }
        }
    }

    [Fact]
    public void Choose_OneExpert_EqualsTheSingleRule()
    {
        Random random = new(3);
        for (int i = 0; i < 100; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 1, 50);
            Assert.Equal(rows.Choose(single).Factors, rows.Choose(joint).Factors);
        }
    }

    [Fact]
    public void Choose_ExpertsAreEqual_ShareTheFactorOfOne()
    {
        RandomDeltaRows one = RandomDeltaRows.Draw(new(4), 1, 60);
        double[] a = new RandomDeltaRows(one.Base, one.Deltas[0], one.Deltas[0]).Choose(joint).Factors;
        Assert.Equal(a[0], a[1], 1e-5);
        Assert.Equal(one.Choose(single).Factors[0], a[0] + a[1], 0.01);
    }

    [Fact]
    public void Choose_DeltasAreIndependentUnderTheBase_EachGetsItsOwnFactor()
    {
        // Tokens are pairs (i, j); one expert moves i, the other j, and the base gives them independent probabilities.
        Random random = new(5);
        float[] p = RandomDeltaRows.Row(random, 12, 1), q = RandomDeltaRows.Row(random, 12, 1), anti = RandomDeltaRows.Row(random, 144, 1);
        float[] first = RandomDeltaRows.Row(random, 12, 1), second = RandomDeltaRows.Row(random, 12, 1);
        RandomDeltaRows rows = new(Pairs((i, j) => p[i] + q[j]), (Pairs((i, _) => first[i]), null), (Pairs((_, j) => second[j]), null));
        double[] a = rows.Choose(joint).Factors;
        Assert.Equal(rows.Only(0).Choose(single).Factors[0], a[0], 1e-5);
        Assert.Equal(rows.Only(1).Choose(single).Factors[0], a[1], 1e-5);

        static float[] Pairs(Func<int, int, float> logit) => [.. Enumerable.Range(0, 144).Select(k => logit(k / 12, k % 12))];
    }

    [Fact]
    public void Choose_OneDeltaIsConstant_GivesItOneAndLeavesTheOtherUnchanged()
    {
        RandomDeltaRows rows = RandomDeltaRows.Draw(new(6), 1, 50);
        foreach (float[] plus in new[] { rows.Base, [.. rows.Base.Select(x => x + 8)] })
        {
            double[] a = new RandomDeltaRows(rows.Base, (plus, rows.Base), rows.Deltas[0]).Choose(joint).Factors;
            Assert.Equal([1, rows.Choose(single).Factors[0]], a, (x, y) => Math.Abs(x - y) < 1e-6);
        }
    }

    [Fact]
    public void Choose_RowsWithLargeConstants_GivesTheSameFactors()
    {
        Random random = new(12);
        float[] anti = RandomDeltaRows.Eighths(random, 80);
        RandomDeltaRows rows = new(RandomDeltaRows.Eighths(random, 80), (RandomDeltaRows.Eighths(random, 80), anti), (RandomDeltaRows.Eighths(random, 80), anti));
        Assert.Equal(rows.Choose(joint).Factors, rows.Shifted(5000, 3000, -2000).Choose(joint).Factors, (x, y) => Math.Abs(x - y) < 1e-5);
    }

    [Fact]
    public void Choose_ExpertsInAnotherOrder_GivesTheSameFactors()
    {
        Random random = new(7);
        for (int i = 0; i < 100; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, 3, 50);
            double[] a = rows.Choose(joint).Factors, b = (rows with { Deltas = [.. rows.Deltas.Reverse()] }).Choose(joint).Factors;
            Assert.InRange(new SlowDynamicFusion(rows).Distance(a, [.. b.Reverse()]), 0, 1e-5);
        }
    }

    [Fact]
    public void Choose_TargetsOutOfReach_ReportsIt()
    {
        float[] sure = RandomDeltaRows.Row(new(8), 50, 1);
        sure[3] += 30;
        (float[]?, float[]?)[] deltas = [(RandomDeltaRows.Row(new(9), 50, 1), null), (RandomDeltaRows.Row(new(10), 50, 1), null)];
        Assert.True(new RandomDeltaRows(sure, deltas).Choose(joint).Saturated);
    }

    [Fact]
    public void Choose_EqualExpertsOutOfReachAlone_IsNotSaturatedTogether()
    {
        float[] sure = RandomDeltaRows.Row(new(8), 50, 1);
        sure[3] += 30;
        float[] tuned = RandomDeltaRows.Row(new(9), 50, 1);
        Assert.True(new RandomDeltaRows(sure, (tuned, null)).Choose(joint).Saturated);

        (double[] factors, bool saturated) = new RandomDeltaRows(sure, (tuned, null), (tuned, null)).Choose(joint);

        Assert.All(factors, factor => Assert.InRange(factor, 1, 1.9));
        Assert.False(saturated);
    }

    [Fact]
    public void Choose_RandomRows_IsSaturatedWhereAFactorIsTheMaximum()
    {
        Random random = new(11);
        int inside = 0;
        for (int i = 0; i < 50; i++)
        {
            // The base is the anti-expert, so that each expert alone has the factor 1; together they may have more or less.
            float[] @base = RandomDeltaRows.Row(random, 50, 1), first = RandomDeltaRows.Row(random, 50, 0.3), second = RandomDeltaRows.Row(random, 50, 0.3);
            RandomDeltaRows rows = new(@base, ([.. @base.Zip(first, (x, y) => x + y)], @base), ([.. @base.Zip(second, (x, y) => x + y)], @base));
            (double[] factors, bool saturated) = rows.Choose(joint);
            Assert.Equal(factors.Contains(2), saturated);
            inside += saturated ? 0 : 1;
        }

        Assert.InRange(inside, 10, 49);
    }
}
