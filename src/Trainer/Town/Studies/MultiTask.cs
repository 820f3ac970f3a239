using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of several experts that are fused at once. They are asked the questions of all experts, and no question names its expert.</summary>
/// <param name="Questions">The number of questions of each behaviour.</param>
/// <param name="Base">The base's scores by behaviour, in the order of <see cref="FamilyPlan.Together"/>.</param>
/// <param name="Direct">The scores of the base that was fully tuned on the mixture.</param>
/// <param name="Experts">The scores of the experts by recipe, one entry per training seed.</param>
internal sealed record MultiTaskQuality(int Questions, double[] Base, double[] Direct, IReadOnlyDictionary<string, TogetherQuality[]> Experts)
{
    /// <summary>The mean over behaviours of the gap recovered.</summary>
    public double GapRecovered(double[] fused) => fused.Select((score, i) => Score.GapRecovered(score, Base[i], Direct[i])).Average();
}

/// <summary>The scores of the experts of one training seed, by behaviour in the order of <see cref="FamilyPlan.Together"/>.</summary>
/// <param name="Alpha">The best constant alpha of all experts on the validation split.</param>
/// <param name="Constant">The scores with that alpha.</param>
/// <param name="Single">The scores of dynamic fusion in mode single, the paper's rule: one expert per token.</param>
/// <param name="Joint">The scores of dynamic fusion in mode joint with floor 0.</param>
/// <param name="Floor">The best floor on the validation split.</param>
/// <param name="Floored">The scores of mode joint with that floor.</param>
internal sealed record TogetherQuality(int Seed, double Alpha, double[] Constant, double[] Single, double[] Joint, double Floor, double[] Floored);

/// <summary>Examines several experts that are fused at once.</summary>
internal sealed class MultiTask(Examinee examinee, int maxQuestions)
{
    private readonly Example[][] test = Questions("test", maxQuestions);
    private readonly Example[][] validation = Questions("valid", Choice.MaxQuestions);

    public async Task<MultiTaskQuality> ExamineAsync()
    {
        Dictionary<string, TogetherQuality[]> experts = new();
        foreach (string recipe in FamilyPlan.PairRecipes)
        {
            List<TogetherQuality> scores = new();
            foreach (int seed in Enumerable.Range(1, FamilyPlan.Seeds))
            {
                scores.Add(await ExamineAsync(recipe, seed));
            }

            experts[recipe] = [.. scores];
        }

        return new(maxQuestions, await ScoresAsync(FamilyCatalog.Base), await ScoresAsync(FamilyPlan.MixtureRun), experts);
    }

    private async Task<TogetherQuality> ExamineAsync(string recipe, int seed)
    {
        string served = FamilyCatalog.Together(recipe, seed);
        double alpha = await Choice.BestAsync(Choice.Alphas, async value => (await ScoresAsync(served, Choice.Constant(value), validation)).Average());
        double floor = await Choice.BestAsync(Choice.Floors, async value => (await ScoresAsync(served, Joint(value), validation)).Average());
        double[] joint = await ScoresAsync(served, Joint(0));
        return new(
            seed, alpha, await ScoresAsync(served, Choice.Constant(alpha)), await ScoresAsync(served, Choice.Dynamic(0)), joint, floor,
            floor == 0 ? joint : await ScoresAsync(served, Joint(floor)));
    }

    private async Task<double[]> ScoresAsync(string served, AskedFusion? fusion = null, Example[][]? questions = null)
    {
        List<double> scores = new();
        foreach (Example[] some in questions ?? test)
        {
            scores.Add(Score.Of(some, await examinee.AnswerAsync(some, served, fusion)).Share);
        }

        return [.. scores];
    }

    private static AskedFusion Joint(double floor) => Choice.Dynamic(floor, FusionDefaults.JointMode);

    private static Example[][] Questions(string split, int count) =>
        [.. FamilyPlan.Together.Select(behaviour => TownData.Examples($"town:{behaviour}/{split}").Take(count).ToArray())];
}
