using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Tests.Evaluation;

public class QualityReportTests
{
    private static readonly BehaviourQuality Quality = new("qa", 200, Base: 0.1, Direct: 0.9, BaseLora: 0.8, new Dictionary<string, ExpertQuality[]>
    {
        ["cpt"] = [new(1, Alone: 0.2, InPrompt: 0.15, Fused: 0.7), new(2, Alone: 0.4, InPrompt: 0.15, Fused: 0.5)],
    });

    [Fact]
    public void GapRecovered_IsShareOfWhatDirectTuningGains()
    {
        Assert.Equal(0.75, Score.GapRecovered(fused: 0.7, @base: 0.1, direct: 0.9), 12);
        Assert.Equal(-0.125, Score.GapRecovered(fused: 0, @base: 0.1, direct: 0.9), 12);
    }

    [Fact]
    public void Score_CountsAnswersThatAreRightToTheLetter()
    {
        Example[] examples = [new([], "a cat"), new([], "b"), new([], "c")];

        Assert.Equal(new Score(1, 3), Score.Of(examples, ["a cat", "B", "c."]));
    }

    [Fact]
    public void Markdown_TwoSeeds_ShowsMeanAndSampleDeviation()
    {
        // Gaps 0.75 and 0.5: mean 62.5 %, sample deviation 17.7.
        var row = QualityReport.Markdown([Quality]).Split('\n').Single(line => line.StartsWith("| cpt", StringComparison.Ordinal));

        Assert.Contains("62.5 % ± 17.7", row, StringComparison.Ordinal);
        Assert.Contains("30.0 % ± 14.1", row, StringComparison.Ordinal);
    }

    [Fact]
    public void Insert_ReplacesOnlyTheMeasuredPart()
    {
        var document = $"before\n{QualityReport.Begin}\nold\n{QualityReport.End}\nafter\n";

        Assert.Equal($"before\n{QualityReport.Begin}\n\nnew\n{QualityReport.End}\nafter\n", QualityReport.Insert(document, "new\n"));
        Assert.Throws<TrainingException>(() => QualityReport.Insert("no marks", "new"));
    }
}
