using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class PortabilityReportTests
{
    // Gaps: ported 0.6 and 0.8 of what direct gains, re-trained 0.8 and 1.
    private static readonly TaskPortability Task = new(300, Base: 0.1, Direct: 0.6, Profiles(new PatchScores([0.4, 0.5], [0.5, 0.6])));

    private static readonly PortabilityQuality Quality = new(
        [
            new(0, new(0, 0, 0), [.. PortabilityPlan.Behaviours.Select(b => new BehaviourPortability(b, Task, null, null))]),
            new(1, new(0.1, 0.2, 0.3), [.. PortabilityPlan.Behaviours.Select(b => new BehaviourPortability(b, Task, Task, Profiles(0.05)))]),
        ],
        new(new(122_000_000, 60), new(10_000_000, 0.5)));

    [Fact]
    public void Markdown_Gaps_AreSharesOfWhatFullFineTuningGains()
    {
        string row = Rows("| `qa` | 300 | 10.0 % | 60.0 % | attention |")[1];

        Assert.EndsWith("45.0 % ± 7.1 | 55.0 % ± 7.1 | **70.0 % ± 14.1** | 90.0 % ± 14.1 |", row, StringComparison.Ordinal);
    }

    /// <summary>0.6 / 0.8 and 0.8 / 1, seed by seed.</summary>
    [Fact]
    public void Markdown_Ratio_DividesGapsNotScores() => Assert.Equal("| attention | **77.5 % ± 3.5** |", Rows("| attention | **")[0]);

    [Fact]
    public void Markdown_Cost_DividesRetrainingByPorting() => Assert.Equal("| ratio | 12.2 | 120 |", Rows("| ratio |")[0]);

    private static string[] Rows(string beginning) =>
        [.. PortabilityReport.Markdown(Quality).Split('\n').Where(line => line.StartsWith(beginning, StringComparison.Ordinal))];

    private static Dictionary<string, T> Profiles<T>(T value) => PortabilityPlan.Profiles.ToDictionary(profile => profile.Name, _ => value);
}
