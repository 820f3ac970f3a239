using System.Text.Json;

using ProxyTune.Trainer.Data.Town;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>
/// Trains the demo family from nothing: tokenizer, base, small base, yardsticks, experts; then exports and examines them. Every stage
/// finds its own finished output, so an interrupted run goes on with the same command.
/// </summary>
internal static class Family
{
    private const int VocabularySize = 1792;
    private const int ContextLength = 1024;
    private const int Seeds = 3;

    private static readonly string[] s_behaviours = ["qa", "json", "polite"];
    private static readonly string[] s_recipes = ["sft", "cpt"];

    private static readonly LlamaConfig s_base = Sizes(hidden: 192, intermediate: 512, layers: 5, heads: 6, headSize: 32);
    private static readonly LlamaConfig s_small = Sizes(hidden: 64, intermediate: 128, layers: 3, heads: 4, headSize: 16);

    /// <param name="work">Where everything is trained, <c>.work/family</c>.</param>
    /// <param name="models">Where the models that are served go; null to leave them in <paramref name="work"/>.</param>
    /// <param name="report">The document whose measured part is rewritten; null for none.</param>
    public static async Task RunAsync(string work, string? models, string? report, CancellationToken cancellation)
    {
        string In(string name) => Path.Combine(work, name);
        if (!File.Exists(In("tokenizer/tokenizer.json")))
        {
            TokenizerRecipe.Run("town:pretrain", 20_000, VocabularySize, ContextLength, In("tokenizer"));
        }

        Pretrain.Run(Pretraining(work, "base", s_base, tokens: 9_000_000, learningRate: 2.5e-3), cancellation);
        Pretrain.Run(Pretraining(work, "small", s_small, tokens: 6_000_000, learningRate: 4e-3), cancellation);
        foreach (var behaviour in s_behaviours)
        {
            Sft.Run(Tuning(work, behaviour, "base", $"base-{behaviour}", steps: 300, learningRate: 5e-4, lora: false), cancellation);
            Sft.Run(Tuning(work, behaviour, "base", $"base-{behaviour}-lora", steps: 300, learningRate: 2e-3, lora: true), cancellation);
            for (var seed = 1; seed <= Seeds; seed++)
            {
                Sft.Run(ExpertTuning(work, behaviour, "sft", seed), cancellation);
                Cpt.Run(new CptSettings(ExpertTuning(work, behaviour, "cpt", seed), In("base")), cancellation);
            }
        }

        foreach (var folder in Directory.GetDirectories(work).Where(folder => !File.Exists(Path.Combine(folder, "genai_config.json"))))
        {
            Export.Run(folder);
        }

        var quality = new List<BehaviourQuality>();
        foreach (var behaviour in s_behaviours)
        {
            cancellation.ThrowIfCancellationRequested();
            quality.Add(await Quality.ExamineAsync(behaviour, In("base"), In("small"), In($"base-{behaviour}"), In($"base-{behaviour}-lora"),
                s_recipes.ToDictionary(r => r, r => Enumerable.Range(1, Seeds).Select(seed => (seed, In(ExpertName(behaviour, r, seed)))).ToArray())));
        }

        await File.WriteAllTextAsync(In("quality.json"), JsonSerializer.Serialize(quality, Quality.Json), cancellation);
        var measured = QualityReport.Markdown(quality);
        Console.WriteLine(measured);
        if (report is not null)
        {
            await File.WriteAllTextAsync(report, QualityReport.Insert(await File.ReadAllTextAsync(report, cancellation), measured), cancellation);
        }
    }

    private static string ExpertName(string behaviour, string recipe, int seed) => $"small-{behaviour}-{recipe}-{seed}";

    private static LlamaConfig Sizes(int hidden, int intermediate, int layers, int heads, int headSize) =>
        new(hidden, intermediate, layers, heads, NumKeyValueHeads: 2, VocabularySize, ContextLength, headSize, EosTokenId: 4, PadTokenId: 0);

    /// <summary>Short rows first, since they are cheaper, then some of the full context.</summary>
    private static PretrainSettings Pretraining(string work, string name, LlamaConfig sizes, long tokens, double learningRate) => new(
        Data: "town:pretrain",
        Tokenizer: Path.Combine(work, "tokenizer"),
        Output: Path.Combine(work, name),
        TotalTokens: tokens,
        TokensPerStep: 4096,
        Contexts: [new(0.88, 256), new(1, ContextLength)],
        Optimizer: new(learningRate, WarmupSteps: 100, Schedule: "cosine", FinalRatio: 0.02, WeightDecay: 0.05),
        Model: sizes,
        MicroBatchTokens: 1024);

    private static SftSettings Tuning(string work, string behaviour, string init, string output, int steps, double learningRate, bool lora, int seed = 1) => new(
        Init: Path.Combine(work, init),
        Data: $"town:{behaviour}/train",
        Output: Path.Combine(work, output),
        Optimizer: new(learningRate, WarmupSteps: 20),
        Steps: steps,
        Lora: lora ? new(Rank: 16, Alpha: 32, LoraTargets.Everything) : null,
        Validation: $"town:{behaviour}/valid",
        ValidateEvery: 25,
        Seed: seed,
        CheckpointEvery: 100);

    /// <summary>Experts are low-rank updates, but for one that is fully tuned.</summary>
    private static SftSettings ExpertTuning(string work, string behaviour, string recipe, int seed)
    {
        var lora = behaviour != "polite";
        return Tuning(work, behaviour, "small", ExpertName(behaviour, recipe, seed), steps: 300, lora ? 5e-3 : 2e-3, lora, seed);
    }
}
