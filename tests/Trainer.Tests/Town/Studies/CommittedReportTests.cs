using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class CommittedReportTests
{
    private static readonly CommittedQuality Quality = new(
        [new("base", [new(0, 300, 3), new(0, 300, 0), new(0, 300, 0), new(0, 200, 0), new(13, 200, 1)]), new("direct", [new(300, 300, 0), null, null, null, null])],
        [new("three at once", [new(90, 100, 10), new(90, 100, 20), null, null, new(90, 100, 30)])],
        [new("later", [new(90, 100, 4), new(90, 100, 5), new(90, 100, 6), null, null])],
        [new("ported", [new(90, 100, 7), new(90, 100, 8), new(90, 100, 9), null, null])],
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

    [Fact]
    public void Insert_Reports_HaveDegenerateSharesBelowTheTables()
    {
        string empty = string.Concat(CommittedReport.Parts(Quality).Select(part => $"<!-- {part.Name}: begin -->\n<!-- {part.Name}: end -->\n"));

        string document = CommittedReport.Insert(empty, Quality);

        Assert.Contains("<!-- degenerate qa: begin -->\n\n| degenerate, seed 1 | base | direct |\n|---|---|---|\n| `qa` | 1.0 % | 0.0 % |\n", document, StringComparison.Ordinal);
        Assert.Contains("<!-- degenerate reticent: begin -->\n\n| degenerate, seed 1 | base |\n|---|---|\n| `reticent` | 0.5 % |\n", document, StringComparison.Ordinal);
        Assert.Contains("| degenerate, seed 1 | three at once |\n|---|---|\n| `qa` | 10.0 % |\n| `json` | 20.0 % |\n| `reticent` | 30.0 % |\n", document, StringComparison.Ordinal);
        Assert.Contains("<!-- degenerate generation 1: begin -->\n\n| degenerate, seed 1 | later |\n|---|---|\n| `qa` | 4.0 % |\n", document, StringComparison.Ordinal);
        Assert.Contains("<!-- degenerate news: begin -->\n\n| degenerate, seed 1 | ported |\n|---|---|\n| `qa` | 7.0 % |\n", document, StringComparison.Ordinal);
    }

    private static string Row(string beginning) =>
        CommittedReport.Parts(Quality).SelectMany(part => part.Markdown.Split('\n')).First(line => line.StartsWith(beginning, StringComparison.Ordinal));
}
