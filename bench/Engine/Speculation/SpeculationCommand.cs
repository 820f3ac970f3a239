using System.CommandLine;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Speculation;

/// <summary>The figures of speculation on the demo family with a larger base. Parts are measured and written one by one.</summary>
internal static class SpeculationCommand
{
    // Beside the demo's own small model, whose pass is hardly more than its fixed costs.
    private static readonly Widening BaseWidening = new(Intermediate: 5), SmallWidening = new();
    private static readonly int[] AllBits = [LlamaExporter.FloatBits, 8, 4];

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
            await Undrafted.OverheadAsync(family, report, settings);
            await Undrafted.OverheadAsync(wide, report, settings);
            await Undrafted.ThroughputAsync([family, wide], report, settings);
        },
        ["identity"] = async (report, _, prompts) =>
        {
            using WidenedFamily family = new(BaseWidening, SmallWidening);
            await Identity.MeasureAsync(family, report, prompts);
        },
    };

    public static Command Create()
    {
        Option<string[]> part = new("--part") { Description = $"What to measure: {string.Join(", ", Parts.Keys)}; all of it by default.", HelpName = "PART", DefaultValueFactory = _ => [.. Parts.Keys] };
        part.AcceptOnlyFromAmong([.. Parts.Keys]);
        Option<int> prompts = new("--prompts") { Description = "Of the identity of texts, greedy and sampled each.", DefaultValueFactory = _ => 1000 };
        Option<bool> quick = new("--quick") { Description = "To see that all of it works; the figures are rough." };
        Option<bool> write = new("--write") { Description = "Put the figures into docs/performance.md." };
        Command command = new("speculation", "Measures speculation and what is compared to it, on the demo family with a larger base.") { part, prompts, quick, write };
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
