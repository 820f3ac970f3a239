using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class QualityReportTests
{
    private static readonly FamilyQuality Quality = new(
        [.. FamilyPlan.Behaviours.Select(behaviour => new TaskQuality(behaviour, 200, Base: 0.1, Direct: 0.9, BaseLora: 0.8, Seeds(
            new ExpertQuality(1, Alone: 0.2, InPrompt: 0.15, Fused: 0.7, Alpha: 1.2, Constant: 0.74, Dynamic: 0.66, Floor: 1, Floored: 0.82),
            new ExpertQuality(2, Alone: 0.4, InPrompt: 0.15, Fused: 0.5, Alpha: 1, Constant: 0.5, Dynamic: 0.5, Floor: 0.5, Floored: 0.5),
            new ExpertQuality(3, Alone: 0.3, InPrompt: 0.15, Fused: 0.6, Alpha: 1, Constant: 0.6, Dynamic: 0.6, Floor: 0.5, Floored: 0.6))))],
        new MultiTaskQuality(100, [0, 0.1, 0.2], [1, 0.9, 1], Seeds(
            new TogetherQuality(1, 1, [1, 0.9, 1], [0, 0.1, 0.2], [0.5, 0.5, 0.6], 1, [0.75, 0.7, 0.8]))),
        new Dictionary<string, FrontierPoint[]> { ["cpt"] = [new(0, [0.1, 0.3], [0.9, 0.9]), new(1, [0.8, 0.8], [0, 0])] });

    [Fact]
    public void GapRecovered_Scores_GivesTheShareOfTheDirectGain()
    {
        Assert.Equal(0.75, Score.GapRecovered(fused: 0.7, @base: 0.1, direct: 0.9), 12);
        Assert.Equal(-0.125, Score.GapRecovered(fused: 0, @base: 0.1, direct: 0.9), 12);
    }

    [Fact]
    public void Score_Answers_CountsExactMatches()
    {
        Example[] examples = [new([], "a cat"), new([], "b"), new([], "c")];

        Assert.Equal(new Score(1, 3, 0), Score.Of(examples, [new("a cat", false), new("B", false), new("c.", false)]));
    }

    [Fact]
    public void Markdown_Seeds_ShowsMeanAndSampleDeviation()
    {
        // Fused 0.7, 0.5, 0.6 are gaps of 0.75, 0.5, 0.625: mean 62.5 %, sample deviation 12.5. Floored: 0.9, 0.5, 0.625.
        string row = Row("| cpt | 30.0 % ± 10.0");

        Assert.Contains("**62.5 % ± 12.5**", row, StringComparison.Ordinal);
        Assert.Contains("64.0 % ± 16.4 (1, 0.5, 0.5)", row, StringComparison.Ordinal);
        Assert.Contains("**67.5 % ± 20.5**", row, StringComparison.Ordinal);
    }

    [Fact]
    public void Markdown_Together_ShowsTheMeanOfEachTasksGap()
    {
        // 0.75, (0.7 - 0.1) / 0.8 and (0.8 - 0.2) / 0.8 are all 75 %.
        Assert.Contains("| **75.0 %** |", Row("| cpt | dynamic, joint, best floor (1)"), StringComparison.Ordinal);
        Assert.Contains("| **0.0 %** |", Row("| cpt | dynamic, single"), StringComparison.Ordinal);
        Assert.Contains("20.0 % ± 14.1 | 80.0 % ± 0.0 |", Row("| `helpful` |"), StringComparison.Ordinal);
    }

    [Fact]
    public void Insert_Document_ReplacesOnlyTheMeasuredPart()
    {
        const string Other = "<!-- portability: begin -->\nother\n<!-- portability: end -->\n";
        const string Document = "before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n" + Other;

        Assert.Equal("before\n<!-- measured: begin -->\n\nnew\n<!-- measured: end -->\nafter\n" + Other, QualityReport.Insert(Document, "new\n"));
        Assert.EndsWith("\nold\n<!-- measured: end -->\nafter\n<!-- portability: begin -->\n\nnew\n<!-- portability: end -->\n", QualityReport.Insert(Document, "new\n", "portability"), StringComparison.Ordinal);
        Assert.Throws<TrainingException>(() => QualityReport.Insert("no marks", "new"));
    }

    private static string Row(string beginning) =>
        QualityReport.Markdown(Quality).Split('\n').First(line => line.StartsWith(beginning, StringComparison.Ordinal));

    private static Dictionary<string, T[]> Seeds<T>(params T[] seeds) => new() { ["sft"] = seeds, ["cpt"] = seeds };
}
