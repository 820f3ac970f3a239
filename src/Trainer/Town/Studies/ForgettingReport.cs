using System.Text;
using ProxyTune.Trainer.Evaluation;
using static System.FormattableString;
using static ProxyTune.Trainer.Town.QualityReport;

namespace ProxyTune.Trainer.Town;

/// <summary>Writes what was measured of a forgotten person as tables of docs/quality.md.</summary>
internal static class ForgettingReport
{
    /// <summary>The document's part.</summary>
    public const string Name = "forgetting";

    public static string Markdown(ForgettingQuality quality)
    {
        StringBuilder text = new();
        Table(text, $"Forgotten: what is still known of {quality.Person}", quality, row => row.Forgotten);
        Table(text, "Kept: what is known of the others", quality, row => row.Kept);
        return text.ToString();
    }

    private static void Table(StringBuilder text, string title, ForgettingQuality quality, Func<ForgettingRow, Knowledge> of)
    {
        Score[] asked = of(quality.Rows[0]).Scores;
        Line(text, $"### {title}");
        Line(text, $"");
        Line(text, $"| | {string.Join(" | ", ForgettingPlan.Behaviours.Select((behaviour, i) => $"`{behaviour}`, {asked[i].Total} questions"))} | probability of the right answer | perplexity of prose | degenerate |");
        Line(text, $"|---|{string.Concat(asked.Select(_ => "---|"))}---|---|---|");
        foreach (ForgettingRow row in quality.Rows)
        {
            Knowledge known = of(row);
            Line(text, $"| {row.Name} | {string.Join(" | ", known.Scores.Select(score => Spread([score.Share])))} | {known.Probability:P1} | {(double.IsFinite(known.Perplexity) ? Invariant($"{known.Perplexity:F2}") : "infinite")} | {known.DegenerateShare:P1} |");
        }

        Line(text, $"");
    }
}
