using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>A point of EFT's frontier: the shares of sampled answers that follow each of two opposed behaviours.</summary>
/// <param name="Weight">The weight l of the first behaviour; the second has 1 - l.</param>
/// <param name="First">The share of answers that match the first behaviour exactly, one value per training seed.</param>
/// <param name="Second">The same for the second behaviour.</param>
internal sealed record FrontierPoint(double Weight, double[] First, double[] Second);

/// <summary>The share of degenerate answers at a point of the frontier.</summary>
internal sealed record DegeneratePoint(double Weight, double Share);

/// <summary>
/// Moves EFT's interpolation from one behaviour to the other (Mitchell et al. 2023). Answers are sampled at temperature 1: greedy answers would
/// change from one behaviour to the other at a single weight.
/// </summary>
internal sealed class Frontier(Examinee examinee, int maxQuestions)
{
    private const int Steps = 10;

    private readonly Example[][] questions = [.. FamilyPlan.Opposed.Select(behaviour => TownData.Examples($"town:{behaviour}/test").OrderBy(e => e.Messages[^1].Content, StringComparer.Ordinal).Take(maxQuestions).ToArray())];

    public async Task<FrontierPoint[]> ExamineAsync(string recipe)
    {
        List<FrontierPoint> points = new();
        for (int step = 0; step <= Steps; step++)
        {
            double weight = (double)step / Steps;
            (List<double>? first, List<double>? second) = (new List<double>(), new List<double>());
            foreach (int seed in Enumerable.Range(1, FamilyPlan.Seeds))
            {
                IReadOnlyList<Answer> answers = await AnswerAsync(recipe, seed, weight);
                first.Add(Score.Of(questions[0], answers).Share);
                second.Add(Score.Of(questions[1], answers).Share);
            }

            points.Add(new(weight, [.. first], [.. second]));
        }

        return [.. points];
    }

    /// <summary>The share of degenerate answers at each weight, for one training seed.</summary>
    public async Task<DegeneratePoint[]> DegenerateAsync(string recipe, int seed)
    {
        List<DegeneratePoint> points = [];
        for (int step = 0; step <= Steps; step++)
        {
            double weight = (double)step / Steps;
            points.Add(new(weight, Score.Of(questions[0], await AnswerAsync(recipe, seed, weight)).DegenerateShare));
        }

        return [.. points];
    }

    private Task<IReadOnlyList<Answer>> AnswerAsync(string recipe, int seed, double weight)
    {
        AskedFusion fusion = new()
        {
            Method = FusionMethod.Eft.Name,
            Experts = new Dictionary<string, double> { [FamilyPlan.Opposed[0]] = weight, [FamilyPlan.Opposed[1]] = 1 - weight },
        };
        return examinee.AnswerAsync(questions[0], FamilyCatalog.Opposed(recipe, seed), fusion, temperature: 1);
    }
}
