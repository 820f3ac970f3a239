using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class ForgettingReportTests
{
    private static readonly ForgettingQuality Quality = new("Ada Fox",
        [new("a = 1.5", new([new(1, 20, 0), new(2, 20, 1), new(0, 20, 2)], 0.125, 3.456), new([new(99, 100, 0), new(50, 100, 0), new(0, 100, 0)], 0.5, 2))]);

    [Fact]
    public void Markdown_Row_ShowsSharesAndOneDegenerateShareOverAllAnswers()
    {
        string markdown = ForgettingReport.Markdown(Quality);

        Assert.Contains("still known of Ada Fox", markdown, StringComparison.Ordinal);
        Assert.Contains("| a = 1.5 | 5.0 % | 10.0 % | 0.0 % | 12.5 % | 3.46 | 5.0 % |", markdown, StringComparison.Ordinal);
        Assert.Contains("| a = 1.5 | 99.0 % | 50.0 % | 0.0 % | 50.0 % | 2.00 | 0.0 % |", markdown, StringComparison.Ordinal);
    }
}
