using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of one behaviour. Scores are shares of exact answers about the held-out half, from 0 to 1.</summary>
/// <param name="Questions">The number of questions.</param>
/// <param name="Base">The score of the base.</param>
/// <param name="Direct">The score of the base, fully tuned.</param>
/// <param name="BaseLora">The score of the base with a low-rank update.</param>
/// <param name="Experts">The scores of the experts by recipe (sft, cpt, prt), one entry per training seed.</param>
internal sealed record TaskQuality(
    string Behaviour, int Questions, double Base, double Direct, double BaseLora, IReadOnlyDictionary<string, ExpertQuality[]> Experts)
{
    public double GapRecovered(double fused) => Score.GapRecovered(fused, Base, Direct);
}

/// <summary>The scores of one expert. The values from <paramref name="Alpha"/> on are null for a reward.</summary>
/// <param name="Alone">The score of the expert without the base.</param>
/// <param name="InPrompt">The score of the base with the expert's answer in its prompt.</param>
/// <param name="Fused">The score at alpha 1: base + (expert - small base), or base + reward.</param>
/// <param name="Alpha">The best constant alpha on the validation split.</param>
/// <param name="Constant">The score with that alpha.</param>
/// <param name="Dynamic">The score of dynamic fusion with floor 0, the paper's rule.</param>
/// <param name="Floor">The best floor of dynamic fusion on the validation split.</param>
/// <param name="Floored">The score of dynamic fusion with that floor.</param>
internal sealed record ExpertQuality(int Seed, double Alone, double InPrompt, double Fused, double? Alpha, double? Constant, double? Dynamic, double? Floor, double? Floored);

/// <summary>Examines the experts of one behaviour, one expert at a time.</summary>
internal sealed class SingleTask(Examinee examinee, string behaviour, int maxQuestions)
{
    private readonly Example[] test = [.. TownData.Examples($"town:{behaviour}/test").Take(maxQuestions)];
    private readonly Example[] validation = [.. TownData.Examples($"town:{behaviour}/valid").Take(Choice.MaxQuestions)];

    public async Task<TaskQuality> ExamineAsync()
    {
        Dictionary<string, ExpertQuality[]> experts = new();
        foreach (string recipe in FamilyPlan.ExpertRecipes(behaviour))
        {
            List<ExpertQuality> scores = new();
            foreach (int seed in Enumerable.Range(1, FamilyPlan.Seeds))
            {
                scores.Add(await ExamineAsync(recipe, seed));
            }

            experts[recipe] = [.. scores];
        }

        return new(behaviour, test.Length, await ScoreAsync(FamilyCatalog.Base), await ScoreAsync(FamilyCatalog.Direct(behaviour)),
            await ScoreAsync(FamilyCatalog.DirectLora(behaviour)), experts);
    }

    private async Task<ExpertQuality> ExamineAsync(string recipe, int seed)
    {
        string served = FamilyCatalog.Single(behaviour, recipe, seed);
        IReadOnlyList<Answer> alone = await examinee.AnswerAsync(test, FamilyCatalog.Alone(behaviour, recipe, seed));
        Example[] prompted = WithHints(test, alone);
        double fused = await ScoreAsync(served);
        ExpertQuality quality = new(
            seed, Score.Of(test, alone).Share, Score.Of(prompted, await examinee.AnswerAsync(prompted, FamilyCatalog.Base)).Share, fused, null, null, null, null, null);
        if (recipe == FamilyPlan.RewardRecipe)
        {
            return quality;
        }

        double alpha = await Choice.BestAsync(Choice.Alphas, value => ScoreAsync(served, Choice.Constant(value), validation));
        double floor = await Choice.BestAsync(Choice.Floors, value => ScoreAsync(served, Choice.Dynamic(value), validation));
        double dynamic = await ScoreAsync(served, Choice.Dynamic(0));
        return quality with
        {
            Alpha = alpha,
            Constant = alpha == 1 ? fused : await ScoreAsync(served, Choice.Constant(alpha)),
            Dynamic = dynamic,
            Floor = floor,
            Floored = floor == 0 ? dynamic : await ScoreAsync(served, Choice.Dynamic(floor)),
        };
    }

    private async Task<double> ScoreAsync(string served, AskedFusion? fusion = null, Example[]? questions = null) =>
        Score.Of(questions ?? test, await examinee.AnswerAsync(questions ?? test, served, fusion)).Share;

    /// <summary>Adds an expert's answers to the questions.</summary>
    public static Example[] WithHints(IReadOnlyList<Example> questions, IReadOnlyList<Answer> answers) =>
        [.. questions.Zip(answers, (question, answer) => question with { Messages = [WithHint(question.Messages[^1], answer.Text)] })];

    private static ChatMessage WithHint(ChatMessage question, string answer) =>
        question with { Content = $"{question.Content}\nA clerk answered: {answer}" };
}
