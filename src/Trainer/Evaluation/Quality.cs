using System.Text.Json;

using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>What one behaviour's examination found. Scores are shares of answers that are right to the letter, on the held-out half.</summary>
/// <param name="Questions">How many were asked.</param>
/// <param name="Direct">The base itself, fully tuned.</param>
/// <param name="BaseLora">The base itself with a low-rank update.</param>
/// <param name="Experts">By recipe (sft, cpt, prt): one entry per training seed.</param>
internal sealed record BehaviourQuality(
    string Behaviour, int Questions, double Base, double Direct, double BaseLora, IReadOnlyDictionary<string, ExpertQuality[]> Experts);

/// <param name="Alone">The expert without the base.</param>
/// <param name="InPrompt">The base, with the expert's answer placed in its prompt.</param>
/// <param name="Fused">base + (expert - small base), alpha 1; base + expert for a reward (prt).</param>
internal sealed record ExpertQuality(int Seed, double Alone, double InPrompt, double Fused)
{
    public double GapRecovered(BehaviourQuality of) => Score.GapRecovered(Fused, of.Base, of.Direct);
}

/// <summary>Examines a family's models on one behaviour.</summary>
internal static class Quality
{
    public static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <param name="baseFolder">The large base; likewise the other folders, all in genai layout.</param>
    /// <param name="experts">By recipe: seed and folder.</param>
    public static async Task<BehaviourQuality> ExamineAsync(
        string behaviour, string baseFolder, string smallFolder, string directFolder, string baseLoraFolder, IReadOnlyDictionary<string, (int Seed, string Folder)[]> experts)
    {
        var questions = TownData.Examples($"town:{behaviour}/test");
        var byRecipe = new Dictionary<string, ExpertQuality[]>();
        foreach (var (recipe, trained) in experts)
        {
            var scores = new List<ExpertQuality>();
            foreach (var (seed, folder) in trained)
            {
                scores.Add(await ExamineExpertAsync(questions, seed, recipe == "prt" ? 0 : -1, baseFolder, smallFolder, folder));
            }

            byRecipe[recipe] = [.. scores];
        }

        return new(behaviour, questions.Count, await AloneAsync(questions, baseFolder), await AloneAsync(questions, directFolder),
            await AloneAsync(questions, baseLoraFolder), byRecipe);
    }

    private static async Task<double> AloneAsync(IReadOnlyList<Example> questions, string folder)
    {
        await using var model = new Examinee(folder);
        return Score.Of(questions, await model.AnswerAsync(questions, 1)).Share;
    }

    private static async Task<ExpertQuality> ExamineExpertAsync(IReadOnlyList<Example> questions, int seed, float antiWeight, string baseFolder, string smallFolder, string folder)
    {
        await using var family = new Examinee(baseFolder, folder, smallFolder);
        var alone = await family.AnswerAsync(questions, 0, 1, 0);
        var prompted = questions.Zip(alone, (question, answer) => question with { Messages = [WithHint(question.Messages[^1], answer)] });
        return new(seed,
            Score.Of(questions, alone).Share,
            Score.Of(questions, await family.AnswerAsync(prompted, 1, 0, 0)).Share,
            Score.Of(questions, await family.AnswerAsync(questions, 1, 1, antiWeight)).Share);
    }

    private static ChatMessage WithHint(ChatMessage question, string answer) =>
        question with { Content = $"{question.Content}\nA clerk answered: {answer}" };
}
