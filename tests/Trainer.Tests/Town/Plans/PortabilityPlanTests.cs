using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class PortabilityPlanTests
{
    private static readonly PortabilityPlan Plan = new("work", "origin");

    /// <summary>Hours of training end in an error, or in one run refusing another's folder, where a name is wrong.</summary>
    [Fact]
    public void Runs_OfTheWholePlan_FindTheirDataAndHaveFoldersOfTheirOwn()
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

    /// <summary>Each generation goes on from the one before, with its own news and documents that were not read before.</summary>
    [Fact]
    public void Evolution_EachGeneration_GoesOnFromTheOneBefore()
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
