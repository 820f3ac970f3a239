using System.Text.Json;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// PortLLM's experiment (arXiv 2410.10870): a base learns on for three generations, and patches that were trained on the first one are put on the
/// later ones as they are, beside patches and full fine-tunings that were trained there. Every run finds its own finished output, so
/// that the same command goes on after an interruption.
/// </summary>
internal static class Portability
{
    /// <param name="work">Where everything is trained.</param>
    /// <param name="origin">The base of generation 0.</param>
    /// <param name="report">The document whose measured part is rewritten, docs/quality.md.</param>
    /// <param name="models">Where the first evolved base and patches of the donor go, for everybody to try.</param>
    /// <param name="generations">How often the base learns on.</param>
    /// <param name="seeds">How many of each patch are trained, see <see cref="PortabilityPlan.Seeds"/>.</param>
    public static void Run(string work, string origin, string report, string models, int generations, int seeds, CancellationToken cancellation)
    {
        PortabilityPlan plan = new(work, origin, generations, seeds);
        for (int generation = 1; generation <= generations; generation++)
        {
            Pretrain.Run(plan.Evolution(generation), cancellation);
        }

        foreach ((int generation, int seed) in Enumerable.Range(0, generations + 1).SelectMany(generation => plan.Seeds(generation), (generation, seed) => (generation, seed)).OrderBy(run => run.seed))
        {
            Train(plan, generation, seed, cancellation);
        }

        PortabilityQuality quality = new(PortabilityExam.RunAsync(plan, cancellation).GetAwaiter().GetResult(), Costs.Measure(work, origin));
        File.WriteAllText(plan.In("portability.json"), JsonSerializer.Serialize(quality, Quality.Json));
        File.WriteAllText(report, QualityReport.Insert(File.ReadAllText(report), PortabilityReport.Markdown(quality), PortabilityReport.Name));
        Publish(plan, quality.Generations[0], models);
    }

    private static void Publish(PortabilityPlan plan, GenerationQuality donor, string models)
    {
        ModelFolder.Copy(Path.Combine(PortabilityExam.Served(plan, 1), PortabilityExam.Base), Path.Combine(models, "town-base-1"));
        foreach (BehaviourPortability behaviour in donor.Behaviours)
        {
            (TaskPortability? held, string? source) = (behaviour.Held, PortabilityPlan.Source(behaviour.Behaviour, "test", 0));
            int right = (int)Math.Round(held.Profiles[PatchProfile.Attention.Name].Ported[0] * held.Questions);
            AdapterFolder.Publish(
                plan.In(PortabilityPlan.PatchName(behaviour.Behaviour, PatchProfile.Attention, 0, 1)), Path.Combine(models, "patches", $"town-base-{behaviour.Behaviour}"), "town-base",
                [new(source, right, held.Questions)]);
        }
    }

    private static void Train(PortabilityPlan plan, int generation, int seed, CancellationToken cancellation)
    {
        foreach (string behaviour in PortabilityPlan.Behaviours)
        {
            foreach (PatchProfile profile in PortabilityPlan.Profiles)
            {
                Sft.Run(plan.Patch(behaviour, profile, generation, seed), cancellation);
            }

            Sft.Run(plan.Direct(behaviour, generation), cancellation);
        }
    }
}
