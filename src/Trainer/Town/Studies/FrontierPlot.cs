using ScottPlot;

namespace ProxyTune.Trainer.Town;

/// <summary>Draws two behaviours against each other as the interpolation between their experts moves.</summary>
internal static class FrontierPlot
{
    public static void Draw(IReadOnlyDictionary<string, FrontierPoint[]> frontier, string file)
    {
        using var plot = new Plot();
        foreach (var (recipe, points) in frontier)
        {
            var line = plot.Add.Scatter(points.Select(p => 100 * p.First.Average()).ToArray(), points.Select(p => 100 * p.Second.Average()).ToArray());
            line.LegendText = $"{recipe} experts";
        }

        var ends = frontier.Values.First();
        plot.Title($"weight of {FamilyPlan.Opposed[0]} from {ends[0].Weight} to {ends[^1].Weight}, the rest on {FamilyPlan.Opposed[1]}");
        plot.XLabel($"answers as {FamilyPlan.Opposed[0]} (%)");
        plot.YLabel($"answers as {FamilyPlan.Opposed[1]} (%)");
        plot.ShowLegend(Alignment.UpperRight);
        plot.SavePng(file, 700, 500);
    }
}
