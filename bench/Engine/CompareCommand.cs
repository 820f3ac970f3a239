using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Runs this benchmark and that of an earlier commit in turns, and prints the ratio of each figure that both print under the same title.</summary>
internal static partial class CompareCommand
{
    private const int DefaultRounds = 3;

    public static Command Create()
    {
        Option<string> old = new("--old") { Description = "Checkout of the earlier commit (git worktree add FOLDER COMMIT) with bench/Engine built with -c Release.", Required = true, HelpName = "FOLDER" };
        Option<int> rounds = new("--rounds") { Description = "Number of runs of each commit.", DefaultValueFactory = _ => DefaultRounds, HelpName = "NUMBER" };
        Argument<string[]> rest = new("arguments") { Description = "Arguments for both benchmarks after --, such as --quick or growth.", Arity = ArgumentArity.ZeroOrMore };
        Command command = new("compare", "Measures an earlier commit and this one in turns, and prints new / old for each figure.") { old, rounds, rest };
        command.SetAction(async (arguments, cancellation) =>
        {
            string[] passed = arguments.GetValue(rest) ?? [];
            List<(Dictionary<string, double> Old, Dictionary<string, double> New)> runs = [];
            for (int round = 0; round < arguments.GetValue(rounds); round++)
            {
                // The two commits take turns in running first.
                bool isOldFirst = round % 2 == 0;
                Dictionary<string, double> first = await RunAsync(isOldFirst ? arguments.GetValue(old)! : Repository.Root, passed, cancellation);
                Dictionary<string, double> second = await RunAsync(isOldFirst ? Repository.Root : arguments.GetValue(old)!, passed, cancellation);
                runs.Add(isOldFirst ? (first, second) : (second, first));
            }

            Report report = new();
            Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- compare --old FOLDER --rounds {runs.Count} -- {string.Join(' ', passed)}".TrimEnd(' ', '-'), "as described in the output of each run");
            IEnumerable<string> figures = runs[0].New.Keys.Where(figure => runs.All(run => run.Old.ContainsKey(figure) && run.New.ContainsKey(figure)));
            report.Table("This commit against the earlier one", ["figure", "earlier", "this", "this / earlier"], [.. figures.Select(figure => Row(figure, runs))]);
        });
        return command;
    }

    private static string[] Row(string figure, List<(Dictionary<string, double> Old, Dictionary<string, double> New)> runs)
    {
        Samples before = new([.. runs.Select(run => run.Old[figure])]), now = new([.. runs.Select(run => run.New[figure])]);
        return [figure, before.Median.ToString("0.###", CultureInfo.InvariantCulture), now.Median.ToString("0.###", CultureInfo.InvariantCulture), now.Over(before).Show("0.00")];
    }

    /// <returns>The figures in the tables of the run, by table, row and column.</returns>
    private static async Task<Dictionary<string, double>> RunAsync(string checkout, string[] arguments, CancellationToken cancellation)
    {
        string program = Path.Combine(checkout, "artifacts", "bin", "Bench", "release", "ProxyTune.Bench.dll");
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, WorkingDirectory = checkout })
            ?? throw new InvalidOperationException($"{program} could not be started.");
        string text = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0 ? Figures(text) : throw new InvalidOperationException($"{program} exited with code {process.ExitCode}.");
    }

    private static Dictionary<string, double> Figures(string text)
    {
        Dictionary<string, double> figures = [];
        string title = "";
        string[] header = [];
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith("### ", StringComparison.Ordinal))
            {
                (title, header) = (line[4..], []);
            }
            else if (line.StartsWith("| ", StringComparison.Ordinal))
            {
                string[] cells = line.Trim('|', ' ', '\r').Split(" | ");
                if (header.Length == 0)
                {
                    header = cells;
                    continue;
                }

                for (int column = 1; column < Math.Min(cells.Length, header.Length); column++)
                {
                    if (Number().Match(cells[column]) is { Success: true } number)
                    {
                        figures.TryAdd($"{title}: {cells[0]}, {header[column]}", double.Parse(number.Value, CultureInfo.InvariantCulture));
                    }
                }
            }
        }

        return figures;
    }

    [GeneratedRegex(@"^[0-9]+(\.[0-9]+)?")]
    private static partial Regex Number();
}
