using System.Globalization;
using System.Text;

using MathNet.Numerics.Statistics;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>Writes examinations as the tables of docs/quality.md.</summary>
internal static class QualityReport
{
    /// <summary>Marks the part of the document that is written by machine.</summary>
    public const string Begin = "<!-- measured: begin -->";

    public const string End = "<!-- measured: end -->";

    public static string Markdown(IEnumerable<BehaviourQuality> behaviours)
    {
        var text = new StringBuilder();
        foreach (var quality in behaviours)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"### `{quality.Behaviour}`: {quality.Questions} questions about held-out people").AppendLine()
                .AppendLine("| | exact answers |").AppendLine("|---|---|")
                .AppendLine(CultureInfo.InvariantCulture, $"| base | {quality.Base:P1} |")
                .AppendLine(CultureInfo.InvariantCulture, $"| base, LoRA | {quality.BaseLora:P1} |")
                .AppendLine(CultureInfo.InvariantCulture, $"| direct (base, fully tuned) | {quality.Direct:P1} |").AppendLine()
                .AppendLine("| expert's recipe | seeds | expert alone | its answer in the base's prompt | fused | gap recovered |").AppendLine("|---|---|---|---|---|---|");
            foreach (var (recipe, experts) in quality.Experts)
            {
                text.AppendLine(CultureInfo.InvariantCulture,
                    $"| {recipe} | {experts.Length} | {Spread(experts.Select(e => e.Alone))} | {Spread(experts.Select(e => e.InPrompt))} | {Spread(experts.Select(e => e.Fused))} | **{Spread(experts.Select(e => e.GapRecovered(quality)))}** |");
            }

            text.AppendLine();
        }

        return text.ToString();
    }

    /// <summary>Replaces the measured part of a document.</summary>
    public static string Insert(string document, string measured)
    {
        var (begin, end) = (document.IndexOf(Begin, StringComparison.Ordinal), document.IndexOf(End, StringComparison.Ordinal));
        return begin < 0 || end < begin
            ? throw new TrainingException($"The document lacks the lines '{Begin}' and '{End}'.")
            : $"{document[..(begin + Begin.Length)]}\n\n{measured}{document[end..]}";
    }

    /// <summary>Mean and sample standard deviation over seeds.</summary>
    private static string Spread(IEnumerable<double> shares)
    {
        var (mean, deviation) = shares.MeanStandardDeviation();
        return double.IsNaN(deviation)
            ? string.Create(CultureInfo.InvariantCulture, $"{mean:P1}")
            : string.Create(CultureInfo.InvariantCulture, $"{mean:P1} ± {100 * deviation:F1}");
    }
}
