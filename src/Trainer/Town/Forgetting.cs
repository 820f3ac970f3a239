using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// Unlearning by divergence decoding (arXiv 2605.31293): trains the pair of small models that makes the base forget a person, examines it at
/// several strengths, and publishes it. Every run finds its own finished output, so that the same command continues after an interruption.
/// </summary>
internal static class Forgetting
{
    private const string Base = "town-base";

    /// <param name="work">The folder of the runs.</param>
    /// <param name="models">The models folder, which has the bases and their patches, and which the pair is added to.</param>
    /// <param name="report">The document whose measured part is rewritten, docs/quality.md.</param>
    /// <param name="steps">See <see cref="ForgettingPlan"/>.</param>
    /// <param name="questions">The largest number of questions of each kind.</param>
    public static void Run(string work, string models, string report, long steps, int questions, CancellationToken cancellation)
    {
        string small = Path.Combine(models, "town-small");
        ForgettingPlan plan = new(work, small, steps);
        string served = plan.In(ForgettingPlan.Served);
        (string retain, string forget) = (Path.Combine(served, ForgettingPlan.RetainName), Path.Combine(served, ForgettingPlan.ForgetName));
        Sft.Run(plan.Retain, cancellation);
        Export.Run(small, plan.Retain.Output, retain);
        Sft.Run(plan.Forget, cancellation);
        Export.Run(retain, plan.Forget.Output, forget);

        ModelFolder.Copy(Path.Combine(models, Base), Path.Combine(served, Base));
        foreach (string behaviour in ForgettingPlan.Behaviours)
        {
            ModelFolder.Copy(Path.Combine(models, "patches", $"{Base}-{behaviour}"), Path.Combine(served, "patches", $"{Base}-{behaviour}"));
        }

        ForgettingQuality quality = ForgettingStudy.RunAsync(served, Base, questions, cancellation).GetAwaiter().GetResult();
        File.WriteAllText(report, QualityReport.Insert(File.ReadAllText(report), ForgettingReport.Markdown(quality), ForgettingReport.Name));
        ModelFolder.Copy(retain, Path.Combine(models, "town-small-retain"));
        ModelFolder.Copy(forget, Path.Combine(models, "town-small-forget"));
    }
}
