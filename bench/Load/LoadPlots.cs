using ScottPlot;

namespace ProxyTune.Load;

/// <summary>Draws the plots of a report.</summary>
internal static class LoadPlots
{
    private const int Width = 900, Height = 500;

    public static void Draw(string folder, IReadOnlyList<LoadRun> runs, string unit)
    {
        Distribution(Path.Combine(folder, "first-token.png"), "Time to first token", runs, run => run.First);
        Distribution(Path.Combine(folder, "between-tokens.png"), "Time between tokens", runs, run => run.Gaps);
        if (runs.Count > 1)
        {
            using Plot plot = new();
            plot.Add.Scatter(runs.Select(run => run.Load).ToArray(), runs.Select(run => run.TokensPerSecond).ToArray());
            Label(plot, "Throughput", unit, "tokens/s");
            plot.Axes.SetLimitsY(0, 1.1 * runs.Max(run => run.TokensPerSecond));
            plot.SavePng(Path.Combine(folder, "throughput.png"), Width, Height);
        }
    }

    /// <summary>Draws the cumulative distribution: for each value, the share of all values up to it.</summary>
    private static void Distribution(string path, string title, IReadOnlyList<LoadRun> runs, Func<LoadRun, double[]> values)
    {
        using Plot plot = new();
        foreach (LoadRun run in runs)
        {
            double[] sorted = [.. values(run).Order()];
            if (sorted.Length > 0)
            {
                plot.Add.ScatterLine(sorted, [.. sorted.Select((_, i) => (i + 1.0) / sorted.Length)]).LegendText = run.Name;
            }
        }

        Label(plot, title, "milliseconds", "cumulative share");
        plot.ShowLegend(Alignment.LowerRight);
        plot.SavePng(path, Width, Height);
    }

    private static void Label(Plot plot, string title, string x, string y)
    {
        plot.Title(title);
        plot.XLabel(x);
        plot.YLabel(y);
    }
}
