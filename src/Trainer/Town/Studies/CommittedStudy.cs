using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of the committed models. They come from the first training seed.</summary>
internal sealed record CommittedQuality(CommittedRow[] Rows, DegeneratePoint[] Frontier, GateQuality[] Gate, ContextQuality Context);

/// <summary>The scores of one model or fusion.</summary>
/// <param name="Name">The row's name in the table.</param>
/// <param name="Scores">One for each of <see cref="FamilyPlan.Behaviours"/>; null if the model is not committed, or was not tuned for the behaviour.</param>
internal sealed record CommittedRow(string Name, Score?[] Scores);

/// <summary>Examines the committed models, under the names of their runs. It trains nothing.</summary>
/// <param name="maxQuestions">The largest number of questions of each kind.</param>
internal sealed class CommittedStudy(Examinee examinee, int maxQuestions)
{
    private const int Seed = 1;

    /// <summary>The best constant weight, and the best floor, of experts that are fused with each other.</summary>
    private const double TogetherWeight = 0.8;

    /// <summary>The largest number of questions in studies that ask each question several times.</summary>
    private const int MaxRepeatedQuestions = 200;

    private static readonly string[] All = FamilyPlan.Behaviours;

    public async Task<CommittedQuality> ExamineAsync(CancellationToken cancellation)
    {
        List<CommittedRow> rows = [];
        await AddAsync("base", All, _ => FamilyCatalog.Base);
        await AddAsync("base, LoRA of rank 8", PortabilityPlan.Behaviours, FamilyCatalog.DirectLora);
        await AddAsync("direct (base, fully tuned)", ["qa"], FamilyCatalog.Direct);
        await AddAsync("cpt expert alone", All, behaviour => FamilyCatalog.Alone(behaviour, "cpt", Seed));
        await AddAsync("sft expert alone", PortabilityPlan.Behaviours, behaviour => FamilyCatalog.Alone(behaviour, "sft", Seed));
        rows.Add(new("the cpt expert's answer in the base's prompt", await ScoresAsync(All, async behaviour =>
        {
            Example[] questions = Questions(behaviour);
            Example[] prompted = SingleTask.WithHints(questions, await examinee.AnswerAsync(questions, FamilyCatalog.Alone(behaviour, "cpt", Seed)));
            return Score.Of(prompted, await examinee.AnswerAsync(prompted, FamilyCatalog.Base));
        })));
        await AddAsync("cpt, fused, alpha 1", All, behaviour => FamilyCatalog.Single(behaviour, "cpt", Seed));
        await AddAsync("sft, fused, alpha 1", PortabilityPlan.Behaviours, behaviour => FamilyCatalog.Single(behaviour, "sft", Seed));
        await AddAsync("prt, fused", ["qa"], behaviour => FamilyCatalog.Single(behaviour, FamilyPlan.RewardRecipe, Seed));
        await AddAsync("cpt, dynamic, from 0", All, behaviour => FamilyCatalog.Single(behaviour, "cpt", Seed), Choice.Dynamic(0));
        await AddTogetherAsync("constant 0.8", Choice.Constant(TogetherWeight));
        await AddTogetherAsync("dynamic, single", Choice.Dynamic(0));
        await AddTogetherAsync("dynamic, joint, from 0", Choice.Dynamic(0, FusionDefaults.JointMode));
        await AddTogetherAsync("dynamic, joint, floor 0.8", Choice.Dynamic(TogetherWeight, FusionDefaults.JointMode));
        await AddAsync("base of generation 1, ported patch", PortabilityPlan.Behaviours, FamilyCatalog.Ported, null, generation: 1);

        List<GateQuality> gate = [];
        foreach (string behaviour in FamilyPlan.NeedBase)
        {
            gate.Add(await GateStudy.ExamineAsync(examinee, behaviour, Math.Min(maxQuestions, MaxRepeatedQuestions)));
        }

        return new([.. rows], await new Frontier(examinee, Math.Min(maxQuestions, MaxRepeatedQuestions)).DegenerateAsync("cpt", Seed), [.. gate], await ContextTask.ExamineAsync(examinee, Math.Min(maxQuestions, MaxRepeatedQuestions)));

        Task AddTogetherAsync(string weights, AskedFusion fusion) => AddAsync($"three cpt experts at once, {weights}", FamilyPlan.Together, _ => FamilyCatalog.Together("cpt", Seed), fusion);

        async Task AddAsync(string name, string[] behaviours, Func<string, string> served, AskedFusion? fusion = null, int generation = 0)
        {
            cancellation.ThrowIfCancellationRequested();
            rows.Add(new(name, await ScoresAsync(behaviours, async behaviour =>
            {
                Example[] questions = Questions(behaviour, generation);
                return Score.Of(questions, await examinee.AnswerAsync(questions, served(behaviour), fusion));
            })));
            Console.WriteLine($"examined {name}");
        }
    }

    private Example[] Questions(string behaviour, int generation = 0) => [.. Sources.Examples(PortabilityPlan.Source(behaviour, "test", generation)).Take(maxQuestions)];

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
