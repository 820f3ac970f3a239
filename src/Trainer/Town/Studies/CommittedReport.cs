using System.Globalization;
using System.Text;
using ProxyTune.Trainer.Evaluation;
using static ProxyTune.Trainer.Town.QualityReport;

namespace ProxyTune.Trainer.Town;

/// <summary>Writes the results of the committed models as tables of docs/quality.md.</summary>
internal static class CommittedReport
{
    /// <summary>The name of the document's part.</summary>
    public const string Name = "committed";

    public static string Markdown(CommittedQuality quality)
    {
        StringBuilder text = new();
        Rows(text, quality.Rows);
        Frontier(text, quality.Frontier);
        Gate(text, quality.Gate);
        Context(text, quality.Context);
        return text.ToString();
    }

    private static void Rows(StringBuilder text, CommittedRow[] rows)
    {
        Line(text, $"### Right answers / degenerate answers");
        Line(text, $"");
        Line(text, $"| | {string.Join(" | ", FamilyPlan.Behaviours.Select((behaviour, i) => $"`{behaviour}`, {rows[0].Scores[i]!.Value.Total} questions"))} |");
        Line(text, $"|---|{string.Concat(FamilyPlan.Behaviours.Select(_ => "---|"))}");
        foreach (CommittedRow row in rows)
        {
            Line(text, $"| {row.Name} | {string.Join(" | ", row.Scores.Select(Cell))} |");
        }

        Line(text, $"");

        static string Cell(Score? score) => score is { } known ? string.Create(CultureInfo.InvariantCulture, $"{known.Share:P1} / {known.DegenerateShare:P1}") : "";
    }

    private static void Frontier(StringBuilder text, DegeneratePoint[] points)
    {
        Line(text, $"### From `{FamilyPlan.Opposed[1]}` to `{FamilyPlan.Opposed[0]}`: degenerate answers");
        Line(text, $"");
        Line(text, $"| cpt: weight of `{FamilyPlan.Opposed[0]}` | {string.Join(" | ", points.Select(point => point.Weight.ToString("0.0", CultureInfo.InvariantCulture)))} |");
        Line(text, $"|---|{string.Concat(points.Select(_ => "---|"))}");
        Line(text, $"| degenerate | {string.Join(" | ", points.Select(point => Spread([point.Share])))} |");
        Line(text, $"");
    }

    private static void Gate(StringBuilder text, GateQuality[] gate)
    {
        Line(text, $"### The gate: tokens left to the base where it is sure (0.9) and the expert agrees");
        Line(text, $"");
        Line(text, $"| CPT expert, seed 1 | questions | every token fused | gated | tokens left to the base | of those, fusion would have chosen otherwise | degenerate, every token fused | degenerate, gated |");
        Line(text, $"|---|---|---|---|---|---|---|---|");
        foreach (GateQuality task in gate)
        {
            Line(text, $"| `{task.Behaviour}` | {task.Fused.Total} | {task.Fused.Share:P1} | {task.Gated.Share:P1} | {task.LeftToBase:P1} | {task.Changing:P2} | {task.Fused.DegenerateShare:P1} | {task.Gated.DegenerateShare:P1} |");
        }

        Line(text, $"");
    }

    private static void Context(StringBuilder text, ContextQuality quality)
    {
        Line(text, $"### Context-aware decoding: {quality.Rows[0].Faithful.Total} questions about tales that contradict the town");
        Line(text, $"");
        Line(text, $"| | answers as the tale has it | mean log-probability of the tale's answer | degenerate |");
        Line(text, $"|---|---|---|---|");
        foreach (ContextRow row in quality.Rows)
        {
            string name = row.Alpha switch
            {
                null => "base without the tale",
                0 => "base with the tale",
                var alpha => string.Create(CultureInfo.InvariantCulture, $"context-aware, alpha {alpha}"),
            };
            Line(text, $"| {name} | {row.Faithful.Share:P1} | {row.Logprob:F2} | {row.Faithful.DegenerateShare:P1} |");
        }

        Line(text, $"");
    }
}
