using ScottPlot;

namespace ProxyTune.Bench.Growth;

/// <summary>Costs as functions of one size.</summary>
/// <param name="Axis">The size: streams, context, experts or vocabulary.</param>
internal sealed record Curve(string Title, string Axis, IReadOnlyList<int> Sizes, string Unit, params (string Name, Samples[] Costs)[] Lines)
{
    private const int Width = 700, Height = 450;

    public string[][] Rows() => [.. Sizes.Select((size, i) => (string[])[$"{size}", .. Lines.Select(line => line.Costs[i].Show("0"))])];

    public void Draw(string path)
    {
        using Plot plot = new();
        foreach ((string name, Samples[] costs) in Lines)
        {
            plot.Add.Scatter(Sizes.Select(size => (double)size).ToArray(), costs.Select(cost => cost.Median).ToArray()).LegendText = name;
        }

        plot.Title(Title, size: 14);
        plot.XLabel(Axis);
        plot.YLabel(Unit);
        plot.Axes.SetLimitsY(0, 1.1 * Lines.Max(line => line.Costs.Max(cost => cost.Median)));
        plot.ShowLegend(Alignment.UpperLeft);
        plot.SavePng(path, Width, Height);
    }
}
