using System.CommandLine;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Speculation;

/// <summary>Measures speculation on the demo family with a larger base. Each part is measured and reported separately.</summary>
internal static class SpeculationCommand
{
    // This base goes with the demo's small model, whose pass consists mostly of fixed costs.
    private static readonly Widening BaseWidening = new(Intermediate: 5), SmallWidening = new();
    private static readonly int[] AllBits = [CheckpointExporter.FloatBits, 8, 4];

    private static readonly Dictionary<string, Func<Report, SpeculationSettings, int, Task>> Parts = new()
    {
        ["one-stream"] = (report, settings, _) => OneStreamAsync(report, settings),
        ["several-streams"] = async (report, settings, _) =>
        {
            using WidenedFamily family = new(WidenedFamily.LargeBase, WidenedFamily.LargeSmall);
            await SeveralStreams.MeasureAsync(family, report, settings);
        },
        ["no-speculation"] = async (report, settings, _) =>
        {
            using WidenedFamily family = new(BaseWidening, SmallWidening), wide = new(WidenedFamily.LargeBase, WidenedFamily.LargeSmall);
            await PassRatio.MeasureAsync([family], report);
            await PassRatio.MeasureAsync([wide], report);
            await WithoutSpeculation.OverheadAsync(family, report, settings);
            await WithoutSpeculation.OverheadAsync(wide, report, settings);
            await WithoutSpeculation.ThroughputAsync([family, wide], report, settings);
        },
        ["identity"] = async (report, _, prompts) =>
        {
            using WidenedFamily family = new(BaseWidening, SmallWidening);
            await Identity.MeasureAsync(family, report, prompts);
        },
    };

    public static Command Create()
    {
        Option<string[]> part = new("--part") { Description = $"Part to measure: {string.Join(", ", Parts.Keys)}. Default: all.", HelpName = "PART", DefaultValueFactory = _ => [.. Parts.Keys] };
        part.AcceptOnlyFromAmong([.. Parts.Keys]);
        Option<int> prompts = new("--prompts") { Description = "Number of prompts for the part identity, greedy and sampled each.", DefaultValueFactory = _ => 1000 };
        Option<bool> quick = new("--quick") { Description = "Runs for a short time as a check that everything works; the figures are rough." };
        Option<bool> write = new("--write") { Description = "Writes the figures into docs/performance.md." };
        Command command = new("speculation", "Measures speculation on the demo family with a larger base, against decoding without it and against the base alone.") { part, prompts, quick, write };
        command.SetAction(async (arguments, _) =>
        {
            foreach (string name in arguments.GetValue(part)!)
            {
                Report report = new();
                Machine.Describe(
                    report, $"dotnet run --project bench/Engine -c Release -- speculation --part {name} --prompts {arguments.GetValue(prompts)}", "the demo family of `models`, its base widened: `tests/Testing/WidenedModel.cs`");
                await Parts[name](report, arguments.GetValue(quick) ? SpeculationSettings.Quick : SpeculationSettings.Full, arguments.GetValue(prompts));
                if (arguments.GetValue(write))
                {
                    report.WriteInto(Path.Combine(Repository.Root, "docs", "performance.md"), $"speculation, {name}");
                }
            }
        });
        return command;
    }

    private static async Task OneStreamAsync(Report report, SpeculationSettings settings)
    {
        WidenedFamily[] families = [.. AllBits.Select(bits => new WidenedFamily(WidenedFamily.LargeBase, WidenedFamily.LargeSmall, bits))];
        await PassRatio.MeasureAsync(families, report);
        await OneStream.MeasureAsync(families, report, settings);
        Array.ForEach(families, family => family.Dispose());
    }
}
