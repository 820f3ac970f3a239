using ScottPlot;
using ScottPlot.Plottables;

namespace ProxyTune.Trainer.Town;

/// <summary>Plots the shares of two opposed behaviours against each other, over the weights of the interpolation.</summary>
internal static class FrontierPlot
{
    public static void Draw(IReadOnlyDictionary<string, FrontierPoint[]> frontier, string file)
    {
        using Plot plot = new();
        foreach ((string? recipe, FrontierPoint[]? points) in frontier)
        {
            Scatter line = plot.Add.Scatter(points.Select(p => 100 * p.First.Average()).ToArray(), points.Select(p => 100 * p.Second.Average()).ToArray());
            line.LegendText = $"{recipe} experts";
        }

        FrontierPoint[] ends = frontier.Values.First();
        plot.Title($"weight of {FamilyPlan.Opposed[0]} from {ends[0].Weight} to {ends[^1].Weight}, the rest on {FamilyPlan.Opposed[1]}");
        plot.XLabel($"answers as {FamilyPlan.Opposed[0]} (%)");
        plot.YLabel($"answers as {FamilyPlan.Opposed[1]} (%)");
        plot.ShowLegend(Alignment.UpperRight);
        plot.SavePng(file, 700, 500);
    }
}
