using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>All that is measured of the committed models, which are those of the first training seed.</summary>
internal sealed record CommittedQuality(CommittedRow[] Rows, DegeneratePoint[] Frontier, GateQuality[] Gate, ContextQuality Context);

/// <param name="Name">What answered.</param>
/// <param name="Scores">One for each of <see cref="FamilyPlan.Behaviours"/>; null where the model is not committed, or not meant for it.</param>
internal sealed record CommittedRow(string Name, Score?[] Scores);

/// <summary>Examines what needs no training: the committed models, under the names of the runs that they come from.</summary>
internal sealed class CommittedStudy(Examinee examinee, int most)
{
    private const int Seed = 1;

    /// <summary>The constant weight, and the floor, that were best for experts that are fused with each other.</summary>
    private const double TogetherWeight = 0.8;

    /// <summary>Most questions where a behaviour is asked about in more than one way.</summary>
    private const int MaxOfMany = 200;

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
            gate.Add(await GateStudy.ExamineAsync(examinee, behaviour, Math.Min(most, MaxOfMany)));
        }

        return new([.. rows], await new Frontier(examinee, Math.Min(most, MaxOfMany)).DegenerateAsync("cpt", Seed), [.. gate], await ContextTask.ExamineAsync(examinee, Math.Min(most, MaxOfMany)));

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

    private Example[] Questions(string behaviour, int generation = 0) => [.. Sources.Examples(PortabilityPlan.Source(behaviour, "test", generation)).Take(most)];

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
