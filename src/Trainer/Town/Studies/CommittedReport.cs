using System.Globalization;
using System.Text;
using ProxyTune.Trainer.Evaluation;
using static ProxyTune.Trainer.Town.QualityReport;

namespace ProxyTune.Trainer.Town;

/// <summary>Writes the results of the committed models into docs/quality.md: a part of its own, and the share of degenerate answers below the other tables.</summary>
internal static class CommittedReport
{
    /// <summary>The name of the document's part.</summary>
    public const string Name = "committed";

    public const string Together = "together";
    public const string Interpolation = "interpolation";
    public const string News = "news";

    /// <summary>Of a table about a generation.</summary>
    public static string Generation(int generation) => $"generation {generation}";

    /// <summary>Writes the place of a table of degenerate answers, directly below a table that is measured with more models than are committed.</summary>
    /// <param name="table">A behaviour, or one of the names above.</param>
    public static void Place(StringBuilder text, string table)
    {
        Line(text, $"<!-- {PartOf(table)}: begin -->");
        Line(text, $"<!-- {PartOf(table)}: end -->");
        Line(text, $"");
    }

    public static string Insert(string document, CommittedQuality quality) =>
        Parts(quality).Aggregate(document, (text, part) => QualityReport.Insert(text, part.Markdown, part.Name));

    /// <summary>The parts of the document by name.</summary>
    public static IEnumerable<(string Name, string Markdown)> Parts(CommittedQuality quality) =>
    [
        .. FamilyPlan.Behaviours.Select(behaviour => (PartOf(behaviour), Degenerate(quality.Single, behaviour))),
        (PartOf(Together), Degenerate(quality.Together, FamilyPlan.Together)),
        (PartOf(Interpolation), Frontier(quality.Frontier)),
        (PartOf(Generation(0)), Degenerate([.. quality.Single.Where(row => row.Name is FamilyCatalog.Base or CommittedStudy.Lora)], PortabilityPlan.Behaviours)),
        (PartOf(Generation(1)), Degenerate(quality.Later, PortabilityPlan.Behaviours)),
        (PartOf(News), Degenerate(quality.News, PortabilityPlan.Behaviours)),
        (Name, Own(quality)),
    ];

    private static string PartOf(string table) => $"degenerate {table}";

    private static string Own(CommittedQuality quality)
    {
        StringBuilder text = new();
        Rows(text, [.. quality.Single, .. quality.Together, .. quality.Later]);
        Gate(text, quality.Gate);
        Context(text, quality.Context);
        return text.ToString();
    }

    /// <summary>A column for each model that was examined, and a line for each behaviour.</summary>
    private static string Degenerate(CommittedRow[] rows, params string[] behaviours)
    {
        StringBuilder text = new();
        CommittedRow[] columns = [.. rows.Where(row => behaviours.Any(behaviour => Of(row, behaviour) is not null))];
        Line(text, $"| degenerate, seed 1 | {string.Join(" | ", columns.Select(row => row.Name))} |");
        Line(text, $"|---|{string.Concat(columns.Select(_ => "---|"))}");
        foreach (string behaviour in behaviours)
        {
            Line(text, $"| `{behaviour}` | {string.Join(" | ", columns.Select(row => Of(row, behaviour) is { } score ? score.DegenerateShare.ToString("P1", CultureInfo.InvariantCulture) : ""))} |");
        }

        Line(text, $"");
        return text.ToString();

        static Score? Of(CommittedRow row, string behaviour) => row.Scores[Array.IndexOf(FamilyPlan.Behaviours, behaviour)];
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

    private static string Frontier(DegeneratePoint[] points)
    {
        StringBuilder text = new();
        Line(text, $"| cpt, seed 1: weight of `{FamilyPlan.Opposed[0]}` | {string.Join(" | ", points.Select(point => point.Weight.ToString("0.0", CultureInfo.InvariantCulture)))} |");
        Line(text, $"|---|{string.Concat(points.Select(_ => "---|"))}");
        Line(text, $"| degenerate | {string.Join(" | ", points.Select(point => Spread([point.Share])))} |");
        Line(text, $"");
        return text.ToString();
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
