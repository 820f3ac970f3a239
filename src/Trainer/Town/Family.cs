using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// Trains the demo family: tokenizer, base, small base, tuned bases for comparison, experts. Then it exports and examines them. Every run finds
/// its finished output, so that the same command continues after an interruption.
/// </summary>
internal static class Family
{
    /// <summary>The committed models: the folder in models/ and the run.</summary>
    public static readonly (string Name, string Run)[] Committed =
    [
        ("town-base", "base"), ("town-base-qa", "base-qa"), ("town-small", "small"),
        .. FamilyPlan.Behaviours.Select(b => ($"town-small-{b}", $"small-{b}-cpt-1")),
        .. new[] { "qa", "json", "polite" }.Select(b => ($"town-small-{b}-sft", $"small-{b}-sft-1")),
        ("town-small-qa-reward", "small-qa-prt-1"),
    ];

    /// <summary>The low-rank updates that are committed without a merge, for merges and audits: the folder in models/patches/ and the run.</summary>
    private static readonly (string Name, string Run)[] PublishedPatches = [("town-qa", "small-qa-cpt-1"), ("town-polite", "small-polite-cpt-1"), ("town-reticent", "small-reticent-cpt-1"), ("town-qa-habit", "small-qa-habit")];

    /// <param name="work">The folder of the runs.</param>
    /// <param name="models">The folder of the served models.</param>
    /// <param name="report">The document whose measured part is rewritten, docs/quality.md.</param>
    public static void Run(string work, string models, string report, CancellationToken cancellation)
    {
        FamilyPlan plan = new(work);
        string served = Path.Combine(work, "served");
        Train(plan, cancellation);
        ExportAll(work, served);
        FamilyQuality quality = Quality.ExamineAsync(served, cancellation).GetAwaiter().GetResult();
        File.WriteAllText(Path.Combine(work, "quality.json"), JsonSerializer.Serialize(quality, Quality.Json));
        foreach ((string? name, string? run) in Committed)
        {
            ModelFolder.Copy(Path.Combine(served, run), Path.Combine(models, name));
        }

        foreach ((string? name, string? run) in PublishedPatches)
        {
            AdapterFolder.Publish(Path.Combine(work, run), Path.Combine(models, "patches", name), "town-small");
        }

        FrontierPlot.Draw(quality.Frontier, Path.Combine(Path.GetDirectoryName(report)!, "curves", "frontier.png"));
        File.WriteAllText(report, QualityReport.Insert(File.ReadAllText(report), QualityReport.Markdown(quality)));
        CommittedModels.Run(models, report, Quality.MaxQuestions, cancellation);
    }

    private static void Train(FamilyPlan plan, CancellationToken cancellation)
    {
        if (!File.Exists(Path.Combine(plan.Tokenizer, FileNames.Tokenizer)))
        {
            TokenizerRecipe.Run(plan.Base.Data, 20_000, FamilyPlan.VocabularySize, FamilyPlan.ContextLength, plan.Tokenizer);
        }

        Pretrain.Run(plan.Base, cancellation);
        Pretrain.Run(plan.Small, cancellation);
        foreach (string behaviour in FamilyPlan.Behaviours)
        {
            Sft.Run(plan.Direct(behaviour), cancellation);
            Sft.Run(plan.DirectLora(behaviour), cancellation);
        }

        Sft.Run(plan.DirectMixture, cancellation);
        Sft.Run(plan.Odd, cancellation);

        foreach ((int seed, string? behaviour) in Enumerable.Range(1, FamilyPlan.Seeds).SelectMany(seed => FamilyPlan.Behaviours.Select(behaviour => (seed, behaviour))))
        {
            foreach (string recipe in FamilyPlan.ExpertRecipes(behaviour))
            {
                Train(plan, behaviour, recipe, seed, cancellation);
            }
        }
    }

    private static void Train(FamilyPlan plan, string behaviour, string recipe, int seed, CancellationToken cancellation)
    {
        switch (recipe)
        {
            case "cpt":
                Cpt.Run(plan.ConsistentExpert(behaviour, seed), cancellation);
                break;
            case FamilyPlan.RewardRecipe:
                Prt.Run(plan.Reward(behaviour, seed), cancellation);
                break;
            default:
                Sft.Run(plan.Expert(behaviour, recipe, seed), cancellation);
                break;
        }
    }

    /// <summary>
    /// Exports every run as a folder that the engine can load, and merges low-rank updates into the model that they were trained on. It repeats all
    /// exports: they take seconds, and an older export may come from a run that was removed and trained again.
    /// </summary>
    private static void ExportAll(string work, string served)
    {
        foreach (string? run in Directory.GetDirectories(work).Where(folder => File.Exists(Path.Combine(folder, "training.json"))))
        {
            (string? name, string? target) = (Path.GetFileName(run), Path.Combine(served, Path.GetFileName(run)));
            bool isUpdate = File.Exists(Path.Combine(run, FileNames.AdapterConfig));
            Export.Run(isUpdate ? Path.Combine(work, name.Split('-')[0]) : run, isUpdate ? run : null, target);
        }
    }
}
