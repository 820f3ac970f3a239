using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// Trains the demo family from nothing: tokenizer, base, small base, yardsticks, experts; then exports and examines them. Every run finds
/// its own finished output, so that the same command goes on after an interruption.
/// </summary>
internal static class Family
{
    /// <summary>What is committed: folder in models/, run.</summary>
    public static readonly (string Name, string Run)[] Committed =
    [
        ("town-base", "base"), ("town-base-qa", "base-qa"), ("town-small", "small"),
        .. FamilyPlan.Behaviours.Select(b => ($"town-small-{b}", $"small-{b}-cpt-1")),
        .. new[] { "qa", "json", "polite" }.Select(b => ($"town-small-{b}-sft", $"small-{b}-sft-1")),
        ("town-small-qa-reward", "small-qa-prt-1"),
    ];

    /// <summary>Low-rank updates that are committed as they are, for merges and audits: folder in models/patches/, run.</summary>
    private static readonly (string Name, string Run)[] PublishedPatches = [("town-qa", "small-qa-cpt-1"), ("town-polite", "small-polite-cpt-1"), ("town-reticent", "small-reticent-cpt-1"), ("town-qa-habit", "small-qa-habit")];

    /// <param name="work">Where everything is trained.</param>
    /// <param name="models">Where the models that are served go.</param>
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
        CommittedModels.Run(models, report, Quality.Most, cancellation);
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
    /// Every run as a folder that the engine takes; low-rank updates are merged into the model that they were trained on. Always anew: it
    /// takes moments, and an older export may be of a run that was removed and trained again.
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
