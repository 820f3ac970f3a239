using System.CommandLine;
using ProxyTune.Bench.Speculation;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Growth;

/// <summary>Reports how the cost of a decoding step grows, as tables and plots.</summary>
internal static class GrowthCommand
{
    private const int Rounds = 7;
    private const string Plots = "docs/growth";

    public static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = "Runs for a short time as a check that everything works; the figures are rough." };
        Option<bool> write = new("--write") { Description = $"Writes the figures into docs/performance.md and the plots into {Plots}." };
        Command command = new("growth", "Measures how the cost of a step grows with streams, context, experts and vocabulary.") { quick, write };
        command.SetAction(async (arguments, _) =>
        {
            Report report = new();
            Machine.Describe(report, "dotnet run --project bench/Engine -c Release -- growth", "the demo family of `models`, widened: `tests/Testing/WidenedModel.cs`");
            IReadOnlyList<Curve> curves = await MeasureAsync(arguments.GetValue(quick) ? 2 : Rounds);
            foreach (Curve curve in curves)
            {
                report.Table(curve.Title, [curve.Axis, .. curve.Lines.Select(line => $"{line.Name}, {curve.Unit}")], curve.Rows());
            }

            if (arguments.GetValue(write))
            {
                string folder = Directory.CreateDirectory(Path.Combine(Repository.Root, Plots)).FullName;
                foreach (Curve curve in curves)
                {
                    curve.Draw(Path.Combine(folder, $"{curve.Axis}.png"));
                    report.Line($"![{curve.Title}](growth/{curve.Axis}.png)");
                    report.Line();
                }

                report.WriteInto(Path.Combine(Repository.Root, "docs", "performance.md"), "growth");
            }
        });
        return command;
    }

    private static async Task<IReadOnlyList<Curve>> MeasureAsync(int rounds)
    {
        using WidenedFamily family = new(WidenedFamily.LargeBase, WidenedFamily.LargeSmall);
        using Steps steps = new(family);
        return [await steps.StreamsAsync(rounds), await steps.ContextAsync(rounds), await steps.ExpertsAsync(rounds), await Vocabulary.MeasureAsync(rounds)];
    }
}
