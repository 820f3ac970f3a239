using System.Text.Json;

using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Evaluation.Portability;

namespace ProxyTune.Trainer.Recipes;

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
    /// <param name="seeds">How many of each patch are trained, from 1.</param>
    public static void Run(string work, string origin, string report, int seeds, CancellationToken cancellation)
    {
        var plan = new PortabilityPlan(work, origin);
        for (var generation = 1; generation <= PortabilityPlan.Generations; generation++)
        {
            Pretrain.Run(plan.Evolution(generation), cancellation);
        }

        for (var seed = 1; seed <= seeds; seed++)
        {
            for (var generation = 0; generation <= PortabilityPlan.Generations; generation++)
            {
                Train(plan, generation, seed, cancellation);
            }
        }

        var quality = PortabilityExam.RunAsync(plan, seeds, cancellation).GetAwaiter().GetResult();
        File.WriteAllText(plan.In("portability.json"), JsonSerializer.Serialize(quality, Quality.Json));
        File.WriteAllText(report, QualityReport.Insert(File.ReadAllText(report), PortabilityReport.Markdown(quality), PortabilityReport.Name));
    }

    private static void Train(PortabilityPlan plan, int generation, int seed, CancellationToken cancellation)
    {
        foreach (var behaviour in PortabilityPlan.Behaviours)
        {
            foreach (var profile in PortabilityPlan.Profiles)
            {
                Sft.Run(plan.Patch(behaviour, profile, generation, seed), cancellation);
            }

            Sft.Run(plan.Direct(behaviour, generation), cancellation);
        }
    }
}
