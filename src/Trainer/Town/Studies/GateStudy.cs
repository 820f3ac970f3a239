using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>What leaving sure and agreed tokens to the base does.</summary>
/// <param name="Fused">Of the answers when every token is fused.</param>
/// <param name="Gated">Of the answers with the gate.</param>
/// <param name="Shut">Share of tokens that the gate left to the base.</param>
/// <param name="Changing">Share of those whose likeliest token fusion would have changed.</param>
internal sealed record GateQuality(string Behaviour, Score Fused, Score Gated, double Shut, double Changing);

/// <summary>Examines the gated schedule on the first CPT expert of a behaviour.</summary>
internal static class GateStudy
{
    public static async Task<GateQuality> ExamineAsync(Examinee examinee, string behaviour, int most)
    {
        Example[] questions = [.. TownData.Examples($"town:{behaviour}/test").Take(most)];
        string served = FamilyCatalog.Single(behaviour, "cpt", 1);
        AskedFusion fusion = new() { Schedule = new ScheduleSettings { Kind = "gated" }, Trace = true };
        IReadOnlyList<Answer> answers = await examinee.AnswerAsync(questions, served, fusion);
        GateTrace?[] traces = (await examinee.GenerateAsync(questions, served, fusion)).SelectMany(tokens => tokens).Select(token => token.Trace!.Gated).ToArray();
        GateTrace?[] shut = traces.Where(gate => gate is not null).ToArray();
        return new(
            behaviour, Score.Of(questions, await examinee.AnswerAsync(questions, served)), Score.Of(questions, answers),
            (double)shut.Length / traces.Length, shut.Length == 0 ? 0 : (double)shut.Count(gate => gate!.ChangesChoice) / shut.Length);
    }
}
