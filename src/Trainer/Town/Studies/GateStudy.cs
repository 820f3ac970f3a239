using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The effect of the gated schedule, which leaves a token to the base if the base is sure and the expert agrees.</summary>
/// <param name="Fused">The score if every token is fused.</param>
/// <param name="Gated">The score with the gate.</param>
/// <param name="LeftToBase">The share of tokens that the gate left to the base, from 0 to 1.</param>
/// <param name="Changing">The share of those tokens whose likeliest token fusion would have changed, from 0 to 1.</param>
internal sealed record GateQuality(string Behaviour, Score Fused, Score Gated, double LeftToBase, double Changing);

/// <summary>Examines the gated schedule on the first CPT expert of a behaviour.</summary>
internal static class GateStudy
{
    public static async Task<GateQuality> ExamineAsync(Examinee examinee, string behaviour, int maxQuestions)
    {
        Example[] questions = [.. TownData.Examples($"town:{behaviour}/test").Take(maxQuestions)];
        string served = FamilyCatalog.Single(behaviour, "cpt", 1);
        AskedFusion fusion = new() { Schedule = new ScheduleSettings { Kind = "gated" }, Trace = true };
        IReadOnlyList<Answer> answers = await examinee.AnswerAsync(questions, served, fusion);
        GateTrace?[] traces = (await examinee.GenerateAsync(questions, served, fusion)).SelectMany(tokens => tokens).Select(token => token.Trace!.Gated).ToArray();
        GateTrace?[] left = traces.Where(gate => gate is not null).ToArray();
        return new(
            behaviour, Score.Of(questions, await examinee.AnswerAsync(questions, served)), Score.Of(questions, answers),
            (double)left.Length / traces.Length, left.Length == 0 ? 0 : (double)left.Count(gate => gate!.ChangesChoice) / left.Length);
    }
}
