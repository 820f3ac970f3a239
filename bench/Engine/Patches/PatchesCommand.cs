using System.CommandLine;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Patches;

/// <summary>Measures batches with a different patch in each row, and patches that are uploaded and deleted under load.</summary>
internal static class PatchesCommand
{
    private static readonly Dictionary<string, Func<Report, bool, Task>> Parts = new()
    {
        ["rows"] = DifferentPatches.MeasureAsync,
        ["come-and-go"] = PatchesUnderLoad.MeasureAsync,
    };

    public static Command Create()
    {
        Option<string[]> part = new("--part") { Description = $"Part to measure: {string.Join(", ", Parts.Keys)}. Default: all.", HelpName = "PART", DefaultValueFactory = _ => [.. Parts.Keys] };
        part.AcceptOnlyFromAmong([.. Parts.Keys]);
        Option<bool> quick = new("--quick") { Description = "Runs for a short time as a check that everything works; the figures are rough." };
        Option<bool> write = new("--write") { Description = "Writes the figures into docs/performance.md." };
        Command command = new("patches", "Measures sequences with different patches, and patches that are uploaded and deleted under load.") { part, quick, write };
        command.SetAction(async (arguments, _) =>
        {
            foreach (string name in arguments.GetValue(part)!)
            {
                Report report = new();
                Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- patches --part {name}", "the demo family of `models`");
                await Parts[name](report, arguments.GetValue(quick));
                if (arguments.GetValue(write))
                {
                    report.WriteInto(Path.Combine(Repository.Root, "docs", "performance.md"), $"patches, {name}");
                }
            }
        });
        return command;
    }
}
