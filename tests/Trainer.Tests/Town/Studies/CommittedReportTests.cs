using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class CommittedReportTests
{
    private static readonly CommittedQuality Quality = new(
        [new("base", [new(0, 300, 3), new(0, 300, 0), new(0, 300, 0), new(0, 200, 0), new(13, 200, 1)]), new("direct", [new(300, 300, 0), null, null, null, null])],
        [new(0, 0.125), new(0.5, 0)],
        [new GateQuality("qa", Fused: new(90, 100, 1), Gated: new(80, 100, 2), LeftToBase: 0.25, Changing: 0.0125)],
        new ContextQuality([new(null, new(5, 100, 0), -4), new(0, new(50, 100, 0), -3), new(1, new(75, 100, 4), -2.5)]));

    [Fact]
    public void Markdown_Rows_ShowRightAndDegenerateSharesAndNothingForMissingModels()
    {
        Assert.Equal("| base | 0.0 % / 1.0 % | 0.0 % / 0.0 % | 0.0 % / 0.0 % | 0.0 % / 0.0 % | 6.5 % / 0.5 % |", Row("| base |"));
        Assert.Equal("| direct | 100.0 % / 0.0 % |  |  |  |  |", Row("| direct |"));
        Assert.Equal("| degenerate | 12.5 % | 0.0 % |", Row("| degenerate |"));
    }

    [Fact]
    public void Markdown_GateAndContext_ShowDegenerateShares()
    {
        Assert.Contains("| 90.0 % | 80.0 % | 25.0 % | 1.25 % | 1.0 % | 2.0 % |", Row("| `qa` | 100"), StringComparison.Ordinal);
        Assert.Contains("| 75.0 % | -2.50 | 4.0 % |", Row("| context-aware, alpha 1 |"), StringComparison.Ordinal);
    }

    private static string Row(string beginning) =>
        CommittedReport.Markdown(Quality).Split('\n').First(line => line.StartsWith(beginning, StringComparison.Ordinal));
}
