using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The settings of every run of the demo family. Whoever changes one trains from there on again.</summary>
/// <param name="work">Each run has a folder of its own below it.</param>
internal sealed class FamilyPlan(string work)
{
    public const int VocabularySize = 1776;
    public const int ContextLength = 1024;
    public const int Seeds = 3;

    public static readonly string[] Behaviours = ["qa", "json", "polite"];

    /// <summary>How experts are trained: plain fine-tuning, and for the fused model that they will steer.</summary>
    public static readonly string[] ExpertRecipes = ["sft", "cpt"];

    public string Tokenizer => In("tokenizer");

    public PretrainSettings Base => Pretraining("base", Sizes(hidden: 192, intermediate: 512, layers: 5, heads: 6, headSize: 32), tokens: 8_000_000, learningRate: 2.5e-3);

    public PretrainSettings Small => Pretraining("small", Sizes(hidden: 64, intermediate: 128, layers: 3, heads: 4, headSize: 16), tokens: 4_000_000, learningRate: 4e-3);

    /// <summary>The base itself tuned: the yardstick.</summary>
    public SftSettings Direct(string behaviour) => Tuning(behaviour, "base", $"base-{behaviour}", steps: 150, learningRate: 3e-4, lora: false);

    public SftSettings DirectLora(string behaviour) => Tuning(behaviour, "base", $"base-{behaviour}-lora", steps: 150, learningRate: 1e-3, lora: true);

    /// <summary>Low-rank updates of the small base, but for one expert that is fully tuned: its format is the furthest from what the bases have met.</summary>
    public SftSettings Expert(string behaviour, string recipe, int seed)
    {
        var name = $"small-{behaviour}-{recipe}-{seed}";
        return behaviour == "json"
            ? Tuning(behaviour, "small", name, steps: 500, learningRate: 2e-3, lora: false, seed)
            : Tuning(behaviour, "small", name, steps: 250, learningRate: 5e-3, lora: true, seed);
    }

    public CptSettings ConsistentExpert(string behaviour, int seed) => new(Expert(behaviour, "cpt", seed), In("base"));

    private static LlamaConfig Sizes(int hidden, int intermediate, int layers, int heads, int headSize) =>
        new(hidden, intermediate, layers, heads, NumKeyValueHeads: 2, VocabularySize, ContextLength, headSize, EosTokenId: 4, PadTokenId: 0);

    /// <summary>Mostly short rows, since they are cheaper; full contexts while the learning rate is still high, and again at the end.</summary>
    private PretrainSettings Pretraining(string name, LlamaConfig sizes, long tokens, double learningRate) => new(
        Data: "town:pretrain",
        Tokenizer: Tokenizer,
        Output: In(name),
        TotalTokens: tokens,
        TokensPerStep: 4096,
        Contexts: [new(0.6, 256), new(0.7, ContextLength), new(0.95, 256), new(1, ContextLength)],
        Optimizer: new(learningRate, WarmupSteps: 100, Schedule: "cosine", FinalRatio: 0.02, WeightDecay: 0.05),
        Model: sizes);

    private SftSettings Tuning(string behaviour, string init, string output, int steps, double learningRate, bool lora, int seed = 1) => new(
        Init: In(init),
        Data: $"town:{behaviour}/train",
        Output: In(output),
        Optimizer: new(learningRate, WarmupSteps: 20),
        Steps: steps,
        Lora: lora ? new(Rank: 16, Alpha: 32) : null,
        Validation: $"town:{behaviour}/valid",
        ValidateEvery: 25,
        Seed: seed,
        CheckpointEvery: 100);

    private string In(string name) => Path.Combine(work, name);
}
