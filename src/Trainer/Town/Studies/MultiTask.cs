using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>Several experts fused at once and asked the questions of all of them, without naming the expert that should answer.</summary>
/// <param name="Base">Scores by behaviour, in the order of <see cref="FamilyPlan.Together"/>; likewise the others.</param>
/// <param name="Direct">The base, fully tuned on the mixture.</param>
/// <param name="Experts">By recipe: one entry per training seed.</param>
internal sealed record MultiTaskQuality(int Questions, double[] Base, double[] Direct, IReadOnlyDictionary<string, TogetherQuality[]> Experts)
{
    /// <summary>The mean over behaviours of the gap recovered.</summary>
    public double GapRecovered(double[] fused) => fused.Select((score, i) => Score.GapRecovered(score, Base[i], Direct[i])).Average();
}

/// <param name="Alpha">The constant alpha of all experts that was best on the validation split.</param>
/// <param name="Constant">All experts at that alpha.</param>
/// <param name="Single">The paper's rule: one expert per token.</param>
/// <param name="Joint">Ours from weight 0.</param>
/// <param name="Floor">The least weight that was best on the validation split.</param>
/// <param name="Floored">Ours from there.</param>
internal sealed record TogetherQuality(int Seed, double Alpha, double[] Constant, double[] Single, double[] Joint, double Floor, double[] Floored);

/// <summary>Examines the experts together.</summary>
internal sealed class MultiTask(Examinee examinee, int most)
{
    private readonly Example[][] test = Questions("test", most);
    private readonly Example[][] validation = Questions("valid", Choice.Most);

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

        return new(most, await ScoresAsync(FamilyCatalog.Base), await ScoresAsync(FamilyPlan.MixtureRun), experts);
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

    private static Example[][] Questions(string split, int most) =>
        [.. FamilyPlan.Together.Select(behaviour => TownData.Examples($"town:{behaviour}/{split}").Take(most).ToArray())];
}
