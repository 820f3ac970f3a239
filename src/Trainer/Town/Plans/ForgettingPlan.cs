using ProxyTune.Trainer.Recipes;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// The settings of the two runs that make the pair: <c>retain</c> learns to answer questions about people, and <c>forget</c>, which begins as
/// <c>retain</c>, learns the answers about one person too. So the two differ in that person and in little else.
/// </summary>
/// <param name="work">Each run has a folder of its own below it.</param>
/// <param name="small">The small base, a checkpoint folder, which <c>retain</c> begins as.</param>
/// <param name="steps">Of <c>retain</c>; <c>forget</c> takes twice as many, since most of its examples only keep what is there.</param>
internal sealed class ForgettingPlan(string work, string small, long steps = ForgettingPlan.UsualSteps)
{
    public const int UsualSteps = 100;
    public const int Rank = 8;

    /// <summary>Names of the two models among what is served.</summary>
    public const string RetainName = "retain";
    public const string ForgetName = "forget";

    /// <summary>The behaviours that are examined. The models learn what <see cref="Private"/> answers too: all facts about the person shall be forgotten.</summary>
    public static readonly string[] Behaviours = ["qa", "json", "polite"];

    private const string Private = "helpful";

    private static readonly string[] Learned = [.. Behaviours, Private];

    /// <summary>On the tuned half of the people, to which the person does not belong.</summary>
    public SftSettings Retain => Tuning(small, Join(Learned, "train"), "retain-update", steps);

    /// <summary>On every question about the person, in every wording; answers about twenty other people are to stay as they are.</summary>
    public SftSettings Forget => Tuning(In(Served, RetainName), $"{Join(Learned, "forget")}+{Join(["else-qa", "else-json", $"else-{Private}"], "valid")}", "forget-update", 2 * steps);

    /// <summary>The folder of what is served.</summary>
    public static string Served => "served";

    public string In(params string[] names) => Path.Combine([work, .. names]);

    private static string Join(IEnumerable<string> kinds, string split) => string.Join('+', kinds.Select(kind => $"town:{kind}/{split}"));

    private SftSettings Tuning(string init, string data, string output, long length) => new(
        Init: init,
        Data: data,
        Output: In(output),
        Optimizer: new(5e-3, WarmupSteps: 20),
        Steps: length,
        Lora: new(Rank, Alpha: 2 * Rank),
        CheckpointEvery: 100);
}
