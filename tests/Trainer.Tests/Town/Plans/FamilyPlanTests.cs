using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class FamilyPlanTests
{
    /// <summary>Checks the names in the plan. A wrong name would end hours of training in an error.</summary>
    [Fact]
    public void Runs_OfTheWholePlan_FindTheirDataAndHaveSeparateFolders()
    {
        FamilyPlan plan = new("work");
        int[] seeds = Enumerable.Range(1, FamilyPlan.Seeds).ToArray();
        SftSettings[] runs =
        [
            plan.DirectMixture, plan.Odd,
            .. FamilyPlan.Behaviours.SelectMany(b => new[] { plan.Direct(b), plan.DirectLora(b) }),
            .. FamilyPlan.Behaviours.SelectMany(b => seeds.SelectMany(seed => new[] { plan.Expert(b, "sft", seed), plan.ConsistentExpert(b, seed).Expert })),
            .. seeds.Select(seed => plan.Reward("qa", seed).Expert),
        ];

        Assert.Equal(runs.Length, runs.Select(run => run.Output).Distinct().Count());
        Assert.All(runs.SelectMany(run => new[] { run.Data, run.Validation ?? run.Data }).Distinct(), source => Assert.NotEmpty(Sources.Examples(source)));
        Assert.All(FamilyPlan.Together, b => Assert.Contains(Sources.Examples(plan.ConsistentExpert(b, 1).Expert.Data), example => example.Keep));
    }
}
