using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of the committed models. They come from the first training seed.</summary>
/// <param name="Single">One expert at a time, and what it is compared with.</param>
/// <param name="Together">Three experts at once.</param>
/// <param name="Later">Generation 1: its base, and the ported patches on it.</param>
/// <param name="News">Questions about people with news in generation 1: the patches on the base of generation 0, and ported.</param>
internal sealed record CommittedQuality(
    CommittedRow[] Single, CommittedRow[] Together, CommittedRow[] Later, CommittedRow[] News, DegeneratePoint[] Frontier, GateQuality[] Gate, ContextQuality Context);

/// <summary>The scores of one model or fusion.</summary>
/// <param name="Name">The row's name in the table.</param>
/// <param name="Scores">One for each of <see cref="FamilyPlan.Behaviours"/>; null if the model is not committed, or was not tuned for the behaviour.</param>
internal sealed record CommittedRow(string Name, Score?[] Scores);

/// <summary>Examines the committed models, under the names of their runs. It trains nothing.</summary>
/// <param name="maxQuestions">The largest number of questions of each kind.</param>
internal sealed class CommittedStudy(Examinee examinee, int maxQuestions)
{
    /// <summary>The row of the patches in attention, which are also ported.</summary>
    public const string Lora = "base, LoRA of rank 8";

    private const int Seed = 1;

    /// <summary>The best constant weight, and the best floor, of experts that are fused with each other.</summary>
    private const double TogetherWeight = 0.8;

    /// <summary>The largest number of questions in studies that ask each question several times.</summary>
    private const int MaxRepeatedQuestions = 200;

    private static readonly string[] All = FamilyPlan.Behaviours;

    // What the recipe family chose on the validation split for seed 1. The best constant alpha of the cpt experts is 1.
    private static readonly Dictionary<string, double> SftAlphas = new() { ["qa"] = 0.8, ["json"] = 1.2, ["polite"] = 1 };
    private static readonly Dictionary<string, double> SftFloors = new() { ["qa"] = 0.5, ["json"] = 1, ["polite"] = 1 };
    private static readonly Dictionary<string, double> CptFloors = new() { ["qa"] = 1, ["json"] = 0.8, ["polite"] = 1, ["helpful"] = 1, ["reticent"] = 1 };

    public async Task<CommittedQuality> ExamineAsync(CancellationToken cancellation)
    {
        CommittedRow[] single =
        [
            await RowAsync("base", All, _ => FamilyCatalog.Base),
            await RowAsync(Lora, PortabilityPlan.Behaviours, FamilyCatalog.DirectLora),
            await RowAsync("direct (base, fully tuned)", ["qa"], FamilyCatalog.Direct),
            await RowAsync("cpt expert alone", All, behaviour => FamilyCatalog.Alone(behaviour, "cpt", Seed)),
            await RowAsync("sft expert alone", PortabilityPlan.Behaviours, behaviour => FamilyCatalog.Alone(behaviour, "sft", Seed)),
            await HintRowAsync("cpt", All),
            await HintRowAsync("sft", PortabilityPlan.Behaviours),
            await RowAsync("cpt, fused, alpha 1", All, Fused("cpt")),
            await RowAsync("sft, fused, alpha 1", PortabilityPlan.Behaviours, Fused("sft")),
            await RowAsync("sft, best constant alpha", PortabilityPlan.Behaviours, Fused("sft"), behaviour => Choice.Constant(SftAlphas[behaviour])),
            await RowAsync("prt, fused", ["qa"], Fused(FamilyPlan.RewardRecipe)),
            await RowAsync("cpt, dynamic, from 0", All, Fused("cpt"), _ => Choice.Dynamic(0)),
            await RowAsync("sft, dynamic, from 0", PortabilityPlan.Behaviours, Fused("sft"), _ => Choice.Dynamic(0)),
            await RowAsync("cpt, dynamic, best floor", All, Fused("cpt"), behaviour => Choice.Dynamic(CptFloors[behaviour])),
            await RowAsync("sft, dynamic, best floor", PortabilityPlan.Behaviours, Fused("sft"), behaviour => Choice.Dynamic(SftFloors[behaviour])),
        ];
        CommittedRow[] together =
        [
            await TogetherRowAsync("constant 0.8", Choice.Constant(TogetherWeight)),
            await TogetherRowAsync("dynamic, single", Choice.Dynamic(0)),
            await TogetherRowAsync("dynamic, joint, from 0", Choice.Dynamic(0, FusionDefaults.JointMode)),
            await TogetherRowAsync("dynamic, joint, floor 0.8", Choice.Dynamic(TogetherWeight, FusionDefaults.JointMode)),
        ];
        CommittedRow[] later =
        [
            await RowAsync("base of generation 1", PortabilityPlan.Behaviours, _ => FamilyCatalog.LaterBase, generation: 1),
            await RowAsync("base of generation 1, ported patch", PortabilityPlan.Behaviours, FamilyCatalog.Ported, generation: 1),
        ];
        CommittedRow[] news =
        [
            await RowAsync("patch on generation 0", PortabilityPlan.Behaviours, FamilyCatalog.DirectLora, generation: 1, split: "news"),
            await RowAsync("ported patch", PortabilityPlan.Behaviours, FamilyCatalog.Ported, generation: 1, split: "news"),
        ];

        int repeated = Math.Min(maxQuestions, MaxRepeatedQuestions);
        List<GateQuality> gate = [];
        foreach (string behaviour in FamilyPlan.NeedBase)
        {
            gate.Add(await GateStudy.ExamineAsync(examinee, behaviour, repeated));
        }

        return new(
            single, together, later, news, await new Frontier(examinee, repeated).DegenerateAsync("cpt", Seed), [.. gate], await ContextTask.ExamineAsync(examinee, repeated));

        static Func<string, string> Fused(string recipe) => behaviour => FamilyCatalog.Single(behaviour, recipe, Seed);

        Task<CommittedRow> TogetherRowAsync(string weights, AskedFusion fusion) =>
            RowAsync($"three cpt experts at once, {weights}", FamilyPlan.Together, _ => FamilyCatalog.Together("cpt", Seed), _ => fusion);

        Task<CommittedRow> HintRowAsync(string recipe, string[] behaviours) => ExamineRowAsync($"the {recipe} expert's answer in the base's prompt", behaviours, async behaviour =>
        {
            Example[] questions = Questions(behaviour, "test", 0);
            Example[] prompted = SingleTask.WithHints(questions, await examinee.AnswerAsync(questions, FamilyCatalog.Alone(behaviour, recipe, Seed)));
            return Score.Of(prompted, await examinee.AnswerAsync(prompted, FamilyCatalog.Base));
        });

        Task<CommittedRow> RowAsync(
            string name, string[] behaviours, Func<string, string> served, Func<string, AskedFusion>? fusion = null, int generation = 0, string split = "test") =>
            ExamineRowAsync(name, behaviours, async behaviour =>
            {
                Example[] questions = Questions(behaviour, split, generation);
                return Score.Of(questions, await examinee.AnswerAsync(questions, served(behaviour), fusion?.Invoke(behaviour)));
            });

        async Task<CommittedRow> ExamineRowAsync(string name, string[] behaviours, Func<string, Task<Score>> score)
        {
            cancellation.ThrowIfCancellationRequested();
            CommittedRow row = new(name, await ScoresAsync(behaviours, score));
            Console.WriteLine($"examined {name}");
            return row;
        }
    }

    private Example[] Questions(string behaviour, string split, int generation) => [.. Sources.Examples(PortabilityPlan.Source(behaviour, split, generation)).Take(maxQuestions)];

    private static async Task<Score?[]> ScoresAsync(string[] behaviours, Func<string, Task<Score>> score)
    {
        List<Score?> scores = [];
        foreach (string behaviour in All)
        {
            scores.Add(behaviours.Contains(behaviour) ? await score(behaviour) : null);
        }

        return [.. scores];
    }
}
