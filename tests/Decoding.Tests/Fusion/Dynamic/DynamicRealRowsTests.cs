using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class DynamicRealRowsTests
{
    [Fact]
    public void Choose_DemoModels_IsTheMinimumOfTheLossAndMeetsTheJointConditions()
    {
        DynamicFusion closed = new(new()), grid = new(new() { Search = DynamicSearch.Grid }), joint = new(new() { Mode = DynamicMode.Joint });
        int count = 0, unique = 0, compared = 0;
        foreach (RandomDeltaRows two in RealRows.Read())
        {
            // Most rows use one expert because the oracle is slow. Some use both experts and a finer grid.
            bool fine = count % 50 == 0;
            RandomDeltaRows rows = fine ? two : new(two.Base, two.Deltas[count % 2]);
            LossCheck check = new(rows, fine ? 10 : 1);
            check.NothingOnTheGridIsBetter(rows.Choose(closed).Factors);
            check.Grid(rows.Choose(grid).Factors);
            if (fine)
            {
                check.ClosedForm(rows.Choose(closed).Factors);
                (unique, compared) = (unique + (check.IsUnique ? 1 : 0), compared + 1);
                new JointObjective(rows, closed).AssertMinimum(rows.Choose(joint).Factors);
            }

            count++;
        }

        Assert.True(count >= 10_000);
        Assert.InRange(unique, 0.95 * compared, compared);
    }
}
