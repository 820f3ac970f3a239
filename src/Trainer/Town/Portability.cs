using System.Text.Json;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// PortLLM's experiment (arXiv 2410.10870). A base is trained further for three generations. Patches of generation 0 are used unchanged on the later
/// generations, and are compared with patches and full fine-tunings that were trained there. Every run finds its finished output, so that the
/// same command continues after an interruption.
/// </summary>
internal static class Portability
{
    /// <param name="work">The folder of the runs.</param>
    /// <param name="origin">The checkpoint folder of the base of generation 0.</param>
    /// <param name="report">The document whose measured part is rewritten, docs/quality.md.</param>
    /// <param name="models">The folder that receives the base of generation 1 and the patches of generation 0.</param>
    /// <param name="generations">The number of later generations, from 1 to 3.</param>
    /// <param name="seeds">The number of training seeds of each patch, see <see cref="PortabilityPlan.Seeds"/>.</param>
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
