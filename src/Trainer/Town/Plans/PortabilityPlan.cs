using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>The projections that a patch changes.</summary>
internal sealed record PatchProfile(string Name, IReadOnlyList<string> Targets)
{
    /// <summary>The projections of attention. Feed-forward layers drift more in continued pre-training (Trans-PEFT 2025).</summary>
    public static readonly PatchProfile Attention = new("attention", ["q_proj", "k_proj", "v_proj", "o_proj"]);

    public static readonly PatchProfile All = new("all", LoraSettings.AllTargets);
}

/// <summary>The settings of every run of the portability experiment. After a change, the changed run and all later ones must be trained again.</summary>
/// <param name="work">The folder of the runs; each run has a subfolder.</param>
/// <param name="origin">The checkpoint folder of the base of generation 0.</param>
/// <param name="generations">The number of later generations, from 1 to 3.</param>
/// <param name="seeds">The number of training seeds of each patch, 1 or more, on generations 0 and 1. Later generations have one seed.</param>
internal sealed class PortabilityPlan(string work, string origin, int generations = PortabilityPlan.MaxGenerations, int seeds = PortabilityPlan.UsualSeeds)
{
    public const int MaxGenerations = 3;
    public const int UsualSeeds = 3;
    public const int Rank = 8;

    public static readonly string[] Behaviours = ["qa", "json", "polite"];
    public static readonly PatchProfile[] Profiles = [PatchProfile.Attention, PatchProfile.All];

    public int Generations => generations;

    /// <summary>The training seeds of a generation's patches, from 1.</summary>
    public IEnumerable<int> Seeds(int generation) => Enumerable.Range(1, generation <= 1 ? seeds : 1);

    /// <summary>The checkpoint folder of a generation's base.</summary>
    public string Base(int generation) => generation == 0 ? origin : In($"base-{generation}");

    /// <summary>Continued pre-training on one year. Three of five documents about people tell news; the others repeat the town, so that the base does not forget it.</summary>
    public PretrainSettings Evolution(int generation) => new(
        Data: $"town:pretrain/{generation}",
        Tokenizer: origin,
        Output: Base(generation),
        TotalTokens: 2_000_000,
        TokensPerStep: 4096,
        Contexts: [new(0.9, 256), new(1, FamilyPlan.ContextLength)],
        Optimizer: new(8e-4, WarmupSteps: 50, Schedule: "cosine", FinalRatio: 0.02, WeightDecay: 0.05),
        Init: Base(generation - 1),
        FirstDocument: generation * 1_000_000L);

    /// <summary>A patch trained on a generation's base and facts. The patch of generation 0 is ported; the re-trained patches of later generations are compared with it.</summary>
    public SftSettings Patch(string behaviour, PatchProfile profile, int generation, int seed) =>
        Tuning(behaviour, generation, PatchName(behaviour, profile, generation, seed), learningRate: 3e-3, new(Rank, Alpha: 2 * Rank, profile.Targets), seed);

    /// <summary>A generation's base with all weights tuned. The gap recovered is measured against it.</summary>
    public SftSettings Direct(string behaviour, int generation) => Tuning(behaviour, generation, DirectName(behaviour, generation), learningRate: 3e-4, lora: null, seed: 1);

    public static string PatchName(string behaviour, PatchProfile profile, int generation, int seed) => $"{behaviour}-{profile.Name}-{generation}-{seed}";

    public static string DirectName(string behaviour, int generation) => $"{behaviour}-direct-{generation}";

    /// <summary>The name of a split of a behaviour's examples with the facts of a generation.</summary>
    public static string Source(string behaviour, string split, int generation) => generation == 0 ? $"town:{behaviour}/{split}" : $"town:{behaviour}/{split}/{generation}";

    public string In(string name) => Path.Combine(work, name);

    private SftSettings Tuning(string behaviour, int generation, string output, double learningRate, LoraSettings? lora, int seed) => new(
        Init: Base(generation),
        Data: Source(behaviour, "train", generation),
        Output: In(output),
        Optimizer: new(learningRate, WarmupSteps: 20),
        Steps: 150,
        Lora: lora,
        Validation: Source(behaviour, "valid", generation),
        ValidateEvery: 25,
        Seed: seed,
        CheckpointEvery: 100);
}
