using ProxyTune.Decoding.Catalog;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>How often the base answers from a context that contradicts what it knows. Shares of answers whose first line is what the context says.</summary>
/// <param name="WithoutContext">The question alone.</param>
/// <param name="Strengths">a of context-aware decoding; 0 is the base with the context.</param>
internal sealed record ContextQuality(int Questions, double WithoutContext, double[] Strengths, double[] Faithful);

/// <summary>Examines context-aware decoding (Shi et al. 2023) on tales about people of the town.</summary>
internal static class ContextTask
{
    private static readonly double[] s_strengths = [0, 0.5, 1];

    public static async Task<ContextQuality> ExamineAsync(Examinee examinee, int most)
    {
        Example[] questions = [.. TownData.Examples("town:tale/test").Take(most)];
        Example[] alone = [.. questions.Select(question => question with { Messages = [.. question.Messages.Where(message => message.Name != ServedPlan.ContextName)] })];
        var faithful = new List<double>();
        foreach (var strength in s_strengths)
        {
            faithful.Add(await ScoreAsync(questions, new FusionSettings { Alpha = strength }));
        }

        return new(questions.Length, await ScoreAsync(alone, new FusionSettings { Method = FusionMethod.None.Name }), s_strengths, [.. faithful]);

        async Task<double> ScoreAsync(Example[] some, FusionSettings fusion) =>
            Score.Of(some, [.. (await examinee.AnswerAsync(some, FamilyCatalog.Tales, fusion)).Select(answer => answer.Split('\n')[0].Trim())]).Share;
    }
}
