using System.CommandLine;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Patches;

/// <summary>The figures of patches that are different in each row, and that come and go while others run.</summary>
internal static class PatchesCommand
{
    private static readonly Dictionary<string, Func<Report, bool, Task>> Parts = new()
    {
        ["rows"] = DifferentPatches.MeasureAsync,
        ["come-and-go"] = ComingAndGoing.MeasureAsync,
    };

    public static Command Create()
    {
        Option<string[]> part = new("--part") { Description = $"What to measure: {string.Join(", ", Parts.Keys)}; all of it by default.", HelpName = "PART", DefaultValueFactory = _ => [.. Parts.Keys] };
        part.AcceptOnlyFromAmong([.. Parts.Keys]);
        Option<bool> quick = new("--quick") { Description = "To see that all of it works; the figures are rough." };
        Option<bool> write = new("--write") { Description = "Put the figures into docs/performance.md." };
        Command command = new("patches", "Measures sequences with different patches, and patches that come and go under load.") { part, quick, write };
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
