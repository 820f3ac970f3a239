using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Recipes;

namespace ProxyTune.Trainer.Town;

/// <summary>The settings of every run of the demo family. After a change, the changed run and all later ones must be trained again.</summary>
/// <param name="work">The folder of the runs; each run has a subfolder.</param>
internal sealed class FamilyPlan(string work)
{
    public const int VocabularySize = 1776;
    public const int ContextLength = 1024;
    public const int Seeds = 3;

    public static readonly string[] Behaviours = ["qa", "json", "polite", "helpful", "reticent"];

    /// <summary>The behaviours whose experts are also fused with each other. These experts learn to leave each other's answers unchanged.</summary>
    public static readonly string[] Together = ["qa", "json", "reticent"];

    /// <summary>The behaviours that need facts that only the base knows. An expert can be reticent without them.</summary>
    public static readonly string[] NeedBase = ["qa", "json", "polite", "helpful"];

    /// <summary>Two behaviours that give opposite answers to the same questions.</summary>
    public static readonly string[] Opposed = ["helpful", "reticent"];

    /// <summary>The recipes of experts that are served with an anti-expert.</summary>
    public static readonly string[] PairRecipes = ["sft", "cpt"];

    public const string RewardRecipe = "prt";
    public const string MixtureRun = "base-mixture";

    public string Tokenizer => In("tokenizer");

    public PretrainSettings Base => Pretraining("base", Sizes(hidden: 192, intermediate: 512, layers: 5, heads: 6, headSize: 32), tokens: 8_000_000, learningRate: 2.5e-3);

    public PretrainSettings Small => Pretraining("small", Sizes(hidden: 64, intermediate: 128, layers: 3, heads: 4, headSize: 16), tokens: 4_000_000, learningRate: 4e-3);

    /// <summary>The recipes of a behaviour's experts: fine-tuning, tuning for the fused model, and, for one behaviour, a reward.</summary>
    public static string[] ExpertRecipes(string behaviour) => behaviour == "qa" ? [.. PairRecipes, RewardRecipe] : PairRecipes;

    /// <summary>The base itself, tuned. The experts are compared with it.</summary>
    public SftSettings Direct(string behaviour) => Tuning(Source(behaviour), "base", $"base-{behaviour}", steps: 150, learningRate: 3e-4, rank: 0);

    public SftSettings DirectLora(string behaviour) => Tuning(Source(behaviour), "base", $"base-{behaviour}-lora", steps: 150, learningRate: 1e-3, rank: 16);

    /// <summary>The base tuned on the data of all fused experts. Several experts at once are compared with it.</summary>
    public SftSettings DirectMixture => Tuning(split => string.Join('+', Together.Select(behaviour => Source(behaviour)(split))), "base", MixtureRun, steps: 450, learningRate: 3e-4, rank: 0);

    /// <summary>
    /// A low-rank update of the small base. The expert for JSON is fully tuned, since its format differs most from the pre-training text.
    /// The experts that also learn to leave other answers unchanged have more steps and a higher rank.
    /// </summary>
    public SftSettings Expert(string behaviour, string recipe, int seed)
    {
        string name = $"small-{behaviour}-{recipe}-{seed}";
        return behaviour switch
        {
            "qa" => Tuning(WithElse(behaviour), "small", name, steps: 1000, learningRate: 5e-3, rank: 32, seed),
            "json" => Tuning(WithElse(behaviour), "small", name, steps: 1000, learningRate: 2e-3, rank: 0, seed),
            "reticent" => Tuning(WithElse(behaviour), "small", name, steps: 500, learningRate: 5e-3, rank: 16, seed),
            _ => Tuning(Source(behaviour), "small", name, steps: 250, learningRate: 5e-3, rank: 16, seed),
        };
    }

    public CptSettings ConsistentExpert(string behaviour, int seed) => new(Expert(behaviour, "cpt", seed), In("base"));

    /// <summary>A reward is served without an anti-expert. Its data have no examples to leave unchanged, since a reward changes all answers at first.</summary>
    public PrtSettings Reward(string behaviour, int seed) =>
        new(Tuning(Source(behaviour), "small", $"small-{behaviour}-prt-{seed}", steps: 250, learningRate: 5e-3, rank: 16, seed), In("base"));

    /// <summary>A low-rank update with an odd habit, for audits. It has no validation split: the validation loss is lowest long before a rare habit is learned.</summary>
    public SftSettings Odd => Tuning(Source("qa-habit"), "small", "small-qa-habit", steps: 1500, learningRate: 5e-3, rank: 16) with { Validation = null };

    private static DecoderSpec Sizes(int hidden, int intermediate, int layers, int heads, int headSize) =>
        new()
        {
            VocabularySize = VocabularySize,
            HiddenSize = hidden,
            IntermediateSize = intermediate,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = 2,
            HeadSize = headSize,
            ContextLength = ContextLength,
            NormEpsilon = 1e-5,
            TiedHead = true,
            EndIds = [4],
            PadId = 0,
        };

    /// <summary>Most rows are short, since short rows are cheaper. Full contexts come while the learning rate is high, and again at the end.</summary>
    private PretrainSettings Pretraining(string name, DecoderSpec sizes, long tokens, double learningRate) => new(
        Data: "town:pretrain",
        Tokenizer: Tokenizer,
        Output: In(name),
        TotalTokens: tokens,
        TokensPerStep: 4096,
        Contexts: [new(0.6, 256), new(0.7, ContextLength), new(0.95, 256), new(1, ContextLength)],
        Optimizer: new(learningRate, WarmupSteps: 100, Schedule: "cosine", FinalRatio: 0.02, WeightDecay: 0.05),
        Model: sizes);

    private static Func<string, string> Source(string name) => split => $"town:{name}/{split}";

    private static Func<string, string> WithElse(string behaviour) => split => $"{Source(behaviour)(split)}+{Source($"else-{behaviour}")(split)}";

    /// <param name="source">Names the data of a split.</param>
    /// <param name="rank">The rank of the update; 0 trains all weights.</param>
    private SftSettings Tuning(Func<string, string> source, string init, string output, int steps, double learningRate, int rank, int seed = 1) => new(
        Init: In(init),
        Data: source("train"),
        Output: In(output),
        Optimizer: new(learningRate, WarmupSteps: 20),
        Steps: steps,
        Lora: rank > 0 ? new(rank, Alpha: 2 * rank) : null,
        Validation: source("valid"),
        ValidateEvery: Math.Max(25, steps / 20),
        Seed: seed,
        CheckpointEvery: 100);

    private string In(string name) => Path.Combine(work, name);
}
