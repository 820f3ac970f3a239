using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>Shows how far the base follows a context that contradicts the facts that it has learned.</summary>
/// <param name="Rows">First the questions without the context, then with the context at each alpha.</param>
internal sealed record ContextQuality(ContextRow[] Rows);

/// <summary>The results at one alpha.</summary>
/// <param name="Alpha">The strength of context-aware decoding; 0 is the base with the context, null the base without it.</param>
/// <param name="Faithful">An answer is right if its first line is the answer of the context.</param>
/// <param name="Logprob">The mean log-probability of the context's answer, in nats.</param>
internal sealed record ContextRow(double? Alpha, Score Faithful, double Logprob);

/// <summary>Examines context-aware decoding (Shi et al. 2023) on tales about people of the town.</summary>
internal static class ContextTask
{
    private static readonly double[] Alphas = [0, 0.5, 1, 2];

    public static async Task<ContextQuality> ExamineAsync(Examinee examinee, int maxQuestions)
    {
        Example[] questions = [.. TownData.Examples("town:tale/test").Take(maxQuestions)];
        Example[] alone = [.. questions.Select(question => question with { Messages = [.. question.Messages.Where(message => message.Name != ServedPlan.ContextName)] })];
        List<ContextRow> rows = new() { await RowAsync(null, alone, new AskedFusion { Method = FusionMethod.None.Name }) };
        foreach (double alpha in Alphas)
        {
            rows.Add(await RowAsync(alpha, questions, new AskedFusion { Alpha = alpha }));
        }

        return new([.. rows]);

        async Task<ContextRow> RowAsync(double? alpha, Example[] some, AskedFusion fusion) => new(
            alpha,
            Score.Of(some, [.. (await examinee.AnswerAsync(some, FamilyCatalog.Tales, fusion)).Select(FirstLine)]),
            (await examinee.LogprobsAsync(some, FamilyCatalog.Tales, fusion)).Average());
    }

    /// <summary>The first line of an answer. After its answer a base continues with new questions, up to the limit of tokens.</summary>
    private static Answer FirstLine(Answer answer) =>
        answer.Text.Split('\n') is [var first, _, ..] ? new(first.Trim(), Truncated: false) : answer;
}
