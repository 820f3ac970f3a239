using System.Globalization;
using System.Text.Json;
using ProxyTune.Measuring;

namespace ProxyTune.Load;

/// <summary>Writes the results of a load test as Markdown, JSON and plots.</summary>
internal static class LoadReport
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void Show(Report report, IReadOnlyList<LoadRun> runs)
    {
        string[] models = [.. runs.SelectMany(run => run.Results).Select(result => result.Model).Distinct().Order(StringComparer.Ordinal)];
        LoadRun[] rows = [.. runs.SelectMany(run => models.Length == 1 ? [run] : models.Select(run.Of).Where(part => part.Results.Count > 0).Prepend(run))];
        report.Table(
            "Throughput",
            ["load", "requests", "failed", "requests/s", "tokens/s"],
            [.. rows.Select(run => new[] { run.Name, $"{run.Results.Count}", Failures(run), Number(run.Good.Count() / run.Seconds), Number(run.TokensPerSecond) })]);
        Table("Time to first token, milliseconds", run => run.First);
        Table("Time between tokens, milliseconds", run => run.Gaps);
        Table("Whole answers, milliseconds", run => run.Whole);

        void Table(string title, Func<LoadRun, double[]> values) => report.Table(
            title,
            ["load", .. LoadRun.Levels.Select(level => level == 0.5 ? "median" : $"{100 * level:0}th percentile")],
            [.. rows.Select(run => (string[])[run.Name, .. LoadRun.Percentiles(values(run)).Select(Number)])]);
    }

    public static void Write(string folder, Report report, IReadOnlyList<LoadRun> runs, object settings, string unit)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "load.md"), report.ToString());
        File.WriteAllText(
            Path.Combine(folder, "load.json"),
            JsonSerializer.Serialize(new { settings, runs = runs.Select(run => run.ToJson()) }, Indented) + "\n");
        LoadPlots.Draw(folder, runs, unit);
    }

    private static string Failures(LoadRun run) => run.Results.Count(result => result.Failure is not null) is 0 and var none
        ? $"{none}"
        : string.Join(", ", run.Results.Where(result => result.Failure is not null).CountBy(result => result.Failure!).Select(count => $"{count.Value} ({count.Key})"));

    private static string Number(double value) => value.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
