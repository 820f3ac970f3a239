using System.CommandLine;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Speculation;

/// <summary>The figures of speculation on the demo family with a larger base. Parts are measured and written one by one.</summary>
internal static class SpeculationCommand
{
    // Beside the demo's own small model, whose pass is hardly more than its fixed costs.
    private static readonly Widening s_base = new(Intermediate: 5), s_small = new();
    private static readonly int[] s_bits = [LlamaExporter.FloatBits, 8, 4];

    private static readonly Dictionary<string, Func<Report, SpeculationSettings, int, Task>> s_parts = new()
    {
        ["one-stream"] = (report, settings, _) => OneStreamAsync(report, settings),
        ["several-streams"] = async (report, settings, _) =>
        {
            using WidenedFamily family = new(WidenedFamily.LargeBase, WidenedFamily.LargeSmall);
            await SeveralStreams.MeasureAsync(family, report, settings);
        },
        ["no-speculation"] = async (report, settings, _) =>
        {
            using WidenedFamily family = new(s_base, s_small), wide = new(WidenedFamily.LargeBase, WidenedFamily.LargeSmall);
            await PassRatio.MeasureAsync([family], report);
            await PassRatio.MeasureAsync([wide], report);
            await Undrafted.OverheadAsync(family, report, settings);
            await Undrafted.OverheadAsync(wide, report, settings);
            await Undrafted.ThroughputAsync([family, wide], report, settings);
        },
        ["identity"] = async (report, _, prompts) =>
        {
            using WidenedFamily family = new(s_base, s_small);
            await Identity.MeasureAsync(family, report, prompts);
        },
    };

    public static Command Create()
    {
        var part = new Option<string[]>("--part") { Description = $"What to measure: {string.Join(", ", s_parts.Keys)}; all of it by default.", HelpName = "PART", DefaultValueFactory = _ => [.. s_parts.Keys] };
        part.AcceptOnlyFromAmong([.. s_parts.Keys]);
        var prompts = new Option<int>("--prompts") { Description = "Of the identity of texts, greedy and sampled each.", DefaultValueFactory = _ => 1000 };
        var quick = new Option<bool>("--quick") { Description = "To see that all of it works; the figures are rough." };
        var write = new Option<bool>("--write") { Description = "Put the figures into docs/performance.md." };
        var command = new Command("speculation", "Measures speculation and what is compared to it, on the demo family with a larger base.") { part, prompts, quick, write };
        command.SetAction(async (arguments, _) =>
        {
            foreach (string name in arguments.GetValue(part)!)
            {
                Report report = new();
                Machine.Describe(
                    report, $"dotnet run --project bench/Engine -c Release -- speculation --part {name} --prompts {arguments.GetValue(prompts)}", "the demo family of `models`, its base widened: `tests/Testing/WidenedModel.cs`");
                await s_parts[name](report, arguments.GetValue(quick) ? SpeculationSettings.Quick : SpeculationSettings.Full, arguments.GetValue(prompts));
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
        WidenedFamily[] families = [.. s_bits.Select(bits => new WidenedFamily(WidenedFamily.LargeBase, WidenedFamily.LargeSmall, bits))];
        await PassRatio.MeasureAsync(families, report);
        await OneStream.MeasureAsync(families, report, settings);
        Array.ForEach(families, family => family.Dispose());
    }
}
