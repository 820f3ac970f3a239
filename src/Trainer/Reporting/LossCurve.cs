using System.Text.Json;
using ScottPlot;

namespace ProxyTune.Trainer.Reporting;

/// <summary>Plots the loss of metrics.jsonl into a picture in the same folder.</summary>
internal static class LossCurve
{
    public static void Draw(string folder)
    {
        (double Step, double Loss)[] points = File.ReadLines(Path.Combine(folder, RunReport.MetricsFile)).Select(line =>
        {
            using JsonDocument entry = JsonDocument.Parse(line);
            return (Step: entry.RootElement.GetProperty("step").GetDouble(), Loss: entry.RootElement.GetProperty("loss").GetDouble());
        }).ToArray();
        using Plot plot = new();
        plot.Add.ScatterLine(points.Select(p => p.Step).ToArray(), points.Select(p => p.Loss).ToArray());
        plot.Title(Path.GetFileName(Path.GetFullPath(folder)));
        plot.XLabel("step");
        plot.YLabel("loss");
        plot.SavePng(Path.Combine(folder, "loss.png"), 900, 500);
    }
}
