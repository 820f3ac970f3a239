using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>Which projections a patch changes.</summary>
internal sealed record PatchProfile(string Name, IReadOnlyList<string> Targets)
{
    /// <summary>Those of attention alone: feed-forward layers drift more when a base learns on (Trans-PEFT 2025).</summary>
    public static readonly PatchProfile Attention = new("attention", ["q_proj", "k_proj", "v_proj", "o_proj"]);

    public static readonly PatchProfile All = new("all", LoraSettings.AllTargets);
}

/// <summary>The settings of every run of the portability experiment. Whoever changes one trains from there on again.</summary>
/// <param name="work">Each run has a folder of its own below it.</param>
/// <param name="origin">The base of generation 0, a checkpoint folder.</param>
/// <param name="generations">How often the base learns on, up to 3.</param>
/// <param name="seeds">How many of each patch are trained, from 1, on the generations that decide: the donor's and the first after it.</param>
internal sealed class PortabilityPlan(string work, string origin, int generations = PortabilityPlan.MaxGenerations, int seeds = PortabilityPlan.UsualSeeds)
{
    public const int MaxGenerations = 3;
    public const int UsualSeeds = 3;
    public const int Rank = 8;

    public static readonly string[] Behaviours = ["qa", "json", "polite"];
    public static readonly PatchProfile[] Profiles = [PatchProfile.Attention, PatchProfile.All];

    public int Generations => generations;

    /// <summary>Training seeds of a generation's patches, from 1.</summary>
    public IEnumerable<int> Seeds(int generation) => Enumerable.Range(1, generation <= 1 ? seeds : 1);

    /// <summary>The base of a generation.</summary>
    public string Base(int generation) => generation == 0 ? origin : In($"base-{generation}");

    /// <summary>A year's news, three documents of five about people, and the rest of the town again, so that it is not forgotten.</summary>
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

    /// <summary>A patch trained on a generation's base and facts: the donor at generation 0, the yardstick of a re-trained LoRA at the others.</summary>
    public SftSettings Patch(string behaviour, PatchProfile profile, int generation, int seed) =>
        Tuning(behaviour, generation, PatchName(behaviour, profile, generation, seed), learningRate: 3e-3, new(Rank, Alpha: 2 * Rank, profile.Targets), seed);

    /// <summary>All weights of a generation's base tuned: the yardstick of the gap.</summary>
    public SftSettings Direct(string behaviour, int generation) => Tuning(behaviour, generation, DirectName(behaviour, generation), learningRate: 3e-4, lora: null, seed: 1);

    public static string PatchName(string behaviour, PatchProfile profile, int generation, int seed) => $"{behaviour}-{profile.Name}-{generation}-{seed}";

    public static string DirectName(string behaviour, int generation) => $"{behaviour}-direct-{generation}";

    /// <summary>A split of a behaviour's examples with the facts of a generation.</summary>
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
