using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class PortabilityPlanTests
{
    private static readonly PortabilityPlan Plan = new("work", "origin");

    /// <summary>Checks the names in the plan. A wrong name would end hours of training in an error.</summary>
    [Fact]
    public void Runs_OfTheWholePlan_FindTheirDataAndHaveSeparateFolders()
    {
        int[] generations = Enumerable.Range(0, PortabilityPlan.MaxGenerations + 1).ToArray();
        SftSettings[] runs =
        [
            .. from generation in generations
               from behaviour in PortabilityPlan.Behaviours
               from profile in PortabilityPlan.Profiles
               from seed in Plan.Seeds(generation)
               select Plan.Patch(behaviour, profile, generation, seed),
            .. from generation in generations from behaviour in PortabilityPlan.Behaviours select Plan.Direct(behaviour, generation),
        ];

        Assert.Equal(runs.Length, runs.Select(run => run.Output).Distinct().Count());
        Assert.All(runs, run => run.Check(new SettingsCheck(run.Output)));
        Assert.All(runs.SelectMany(run => new[] { run.Data, run.Validation! }).Distinct(), source => Assert.NotEmpty(Sources.Examples(source)));
    }

    /// <summary>Checks that each generation continues the previous one with its own news and new documents.</summary>
    [Fact]
    public void Evolution_EachGeneration_ContinuesThePreviousOne()
    {
        foreach (int generation in Enumerable.Range(1, PortabilityPlan.MaxGenerations))
        {
            PretrainSettings run = Plan.Evolution(generation);
            run.Check(new SettingsCheck(run.Output));

            Assert.Equal((Plan.Base(generation - 1), Plan.Base(generation), $"town:pretrain/{generation}"), (run.Init, run.Output, run.Data));
            Assert.True(run.FirstDocument > Plan.Evolution(generation - 1).FirstDocument);
        }
    }
}
