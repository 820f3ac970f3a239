using System.Globalization;
using System.Text;
using MathNet.Numerics.Statistics;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Town;

/// <summary>Writes the results of the family as tables of docs/quality.md.</summary>
internal static class QualityReport
{
    /// <summary>The name of the document's part about the family.</summary>
    public const string Name = "measured";

    public static string Markdown(FamilyQuality quality)
    {
        StringBuilder text = new();
        foreach (TaskQuality task in quality.Tasks)
        {
            Task(text, task);
        }

        Mean(text, [.. quality.Tasks.Where(task => FamilyPlan.NeedBase.Contains(task.Behaviour))]);
        Together(text, quality.Together);
        Frontier(text, quality.Frontier);
        return text.ToString();
    }

    /// <summary>Replaces a generated part of a document: the text between the lines that mark the part's begin and end.</summary>
    /// <exception cref="TrainingException">The document has no such lines.</exception>
    public static string Insert(string document, string measured, string part = Name)
    {
        (string? beginLine, string? endLine) = ($"<!-- {part}: begin -->", $"<!-- {part}: end -->");
        (int begin, int end) = (document.IndexOf(beginLine, StringComparison.Ordinal), document.IndexOf(endLine, StringComparison.Ordinal));
        return begin < 0 || end < begin
            ? throw new TrainingException($"The document lacks the lines '{beginLine}' and '{endLine}'.")
            : $"{document[..(begin + beginLine.Length)]}\n\n{measured}{document[end..]}";
    }

    private static void Task(StringBuilder text, TaskQuality task)
    {
        Line(text, $"### `{task.Behaviour}`: {task.Questions} questions about held-out people");
        Line(text, $"");
        Line(text, $"Exact answers: base {task.Base:P1}; base, LoRA {task.BaseLora:P1}; direct (base, fully tuned) {task.Direct:P1}.");
        Line(text, $"");
        Line(text, $"| expert's recipe | expert alone | its answer in the base's prompt | fused, alpha 1 | best constant alpha | dynamic, from 0 | dynamic, best floor | gap: alpha 1 | gap: constant | gap: dynamic |");
        Line(text, $"|---|---|---|---|---|---|---|---|---|---|");
        foreach ((string? recipe, ExpertQuality[]? experts) in task.Experts)
        {
            Line(text, $"| {recipe} | {Spread(experts, e => e.Alone)} | {Spread(experts, e => e.InPrompt)} | {Spread(experts, e => e.Fused)} | {Spread(experts, e => e.Constant)}{Chosen(experts, e => e.Alpha)} | {Spread(experts, e => e.Dynamic)} | {Spread(experts, e => e.Floored)}{Chosen(experts, e => e.Floor)} | {Gap(task, experts, e => e.Fused)} | {Gap(task, experts, e => e.Constant)} | {Gap(task, experts, e => e.Floored)} |");
        }

        Line(text, $"");
        CommittedReport.Place(text, task.Behaviour);
    }

    private static void Mean(StringBuilder text, TaskQuality[] tasks)
    {
        Line(text, $"### Mean gap recovered over {string.Join(", ", tasks.Select(task => $"`{task.Behaviour}`"))}");
        Line(text, $"");
        Line(text, $"| expert's recipe | alpha 1 | best constant alpha | dynamic, from 0 | dynamic, best floor |");
        Line(text, $"|---|---|---|---|---|");
        foreach (string recipe in FamilyPlan.PairRecipes)
        {
            Line(text, $"| {recipe} | {Over(e => e.Fused)} | {Over(e => e.Constant!.Value)} | {Over(e => e.Dynamic!.Value)} | {Over(e => e.Floored!.Value)} |");

            string Over(Func<ExpertQuality, double> of) =>
                Spread(Enumerable.Range(0, FamilyPlan.Seeds).Select(seed => tasks.Average(task => task.GapRecovered(of(task.Experts[recipe][seed])))));
        }

        Line(text, $"");
        Line(text, $"The degenerate answers of these means stand below the table of each behaviour.");
        Line(text, $"");
    }

    private static void Together(StringBuilder text, MultiTaskQuality quality)
    {
        Line(text, $"### Several experts at once: {quality.Questions} questions each of {string.Join(", ", FamilyPlan.Together.Select(b => $"`{b}`"))}");
        Line(text, $"");
        Line(text, $"Exact answers: base {Scores([quality.Base])}; direct (base, fully tuned on the mixture) {Scores([quality.Direct])}.");
        Line(text, $"");
        Line(text, $"| experts' recipe | weights | {string.Join(" | ", FamilyPlan.Together.Select(b => $"`{b}`"))} | mean gap recovered |");
        Line(text, $"|---|---|{string.Concat(FamilyPlan.Together.Select(_ => "---|"))}---|");
        foreach ((string? recipe, TogetherQuality[]? experts) in quality.Experts)
        {
            Row($"constant, best alpha{Chosen(experts, e => e.Alpha)}", e => e.Constant);
            Row("dynamic, single (the paper's)", e => e.Single);
            Row("dynamic, joint, from 0", e => e.Joint);
            Row($"dynamic, joint, best floor{Chosen(experts, e => e.Floor)}", e => e.Floored);

            void Row(string weights, Func<TogetherQuality, double[]> of) => Line(text,
                $"| {recipe} | {weights} | {string.Join(" | ", FamilyPlan.Together.Select((_, i) => Spread(experts.Select(e => of(e)[i]))))} | **{Spread(experts.Select(e => quality.GapRecovered(of(e))))}** |");
        }

        Line(text, $"");
        CommittedReport.Place(text, CommittedReport.Together);
    }

    private static void Frontier(StringBuilder text, IReadOnlyDictionary<string, FrontierPoint[]> frontier)
    {
        (string? first, string? second) = (FamilyPlan.Opposed[0], FamilyPlan.Opposed[1]);
        Line(text, $"### From `{second}` to `{first}`: EFT's interpolation");
        Line(text, $"");
        Line(text, $"Shares of sampled answers (temperature 1) to the letter of either behaviour, as its weight moves.");
        foreach ((string? recipe, FrontierPoint[]? points) in frontier)
        {
            Line(text, $"");
            Line(text, $"| {recipe}: weight of `{first}` | {string.Join(" | ", points.Select(p => p.Weight.ToString("0.0", CultureInfo.InvariantCulture)))} |");
            Line(text, $"|---|{string.Concat(points.Select(_ => "---|"))}");
            Line(text, $"| `{first}` | {string.Join(" | ", points.Select(p => Spread(p.First)))} |");
            Line(text, $"| `{second}` | {string.Join(" | ", points.Select(p => Spread(p.Second)))} |");
        }

        Line(text, $"");
        CommittedReport.Place(text, CommittedReport.Interpolation);
        Line(text, $"![the frontier](curves/frontier.png)");
        Line(text, $"");
    }

    private static string Gap(TaskQuality task, ExpertQuality[] experts, Func<ExpertQuality, double?> of) =>
        experts.All(e => of(e) is not null) ? $"**{Spread(experts.Select(e => task.GapRecovered(of(e)!.Value)))}**" : "";

    private static string Chosen<T>(T[] experts, Func<T, double?> of) =>
        experts.All(e => of(e) is not null) ? $" ({string.Join(", ", experts.Select(e => of(e)!.Value.ToString(CultureInfo.InvariantCulture)))})" : "";

    private static string Scores(IEnumerable<double[]> scores) => string.Join(", ", scores.SelectMany(s => s).Select(s => s.ToString("P1", CultureInfo.InvariantCulture)));

    private static string Spread(ExpertQuality[] experts, Func<ExpertQuality, double?> of) =>
        experts.All(e => of(e) is not null) ? Spread(experts.Select(e => of(e)!.Value)) : "";

    /// <summary>The mean and the sample standard deviation over seeds, in percent.</summary>
    internal static string Spread(IEnumerable<double> shares)
    {
        (double mean, double deviation) = shares.MeanStandardDeviation();
        return double.IsNaN(deviation)
            ? string.Create(CultureInfo.InvariantCulture, $"{mean:P1}")
            : string.Create(CultureInfo.InvariantCulture, $"{mean:P1} ± {100 * deviation:F1}");
    }

    internal static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
