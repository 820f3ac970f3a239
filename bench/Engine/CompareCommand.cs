using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Runs this benchmark and the one of an earlier commit in turns, and prints the ratio of every figure.</summary>
internal static partial class CompareCommand
{
    private const int DefaultRounds = 3;

    public static Command Create()
    {
        Option<string> old = new("--old") { Description = "A checkout of the earlier commit (git worktree add FOLDER COMMIT) in which bench/Engine was built with -c Release.", Required = true, HelpName = "FOLDER" };
        Option<int> rounds = new("--rounds") { Description = "How often each of the two runs.", DefaultValueFactory = _ => DefaultRounds, HelpName = "NUMBER" };
        Argument<string[]> rest = new("arguments") { Description = "What both are started with, such as --quick, or growth; after --.", Arity = ArgumentArity.ZeroOrMore };
        Command command = new("compare", "Measures an earlier commit and this one in turns: new / old for every figure.") { old, rounds, rest };
        command.SetAction(async (arguments, cancellation) =>
        {
            string[] passed = arguments.GetValue(rest) ?? [];
            List<(Dictionary<string, double> Old, Dictionary<string, double> New)> runs = [];
            for (int round = 0; round < arguments.GetValue(rounds); round++)
            {
                // The other one begins in every second round.
                bool isOldFirst = round % 2 == 0;
                Dictionary<string, double> first = await RunAsync(isOldFirst ? arguments.GetValue(old)! : Repository.Root, passed, cancellation);
                Dictionary<string, double> second = await RunAsync(isOldFirst ? Repository.Root : arguments.GetValue(old)!, passed, cancellation);
                runs.Add(isOldFirst ? (first, second) : (second, first));
            }

            Report report = new();
            Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- compare --old FOLDER --rounds {runs.Count} -- {string.Join(' ', passed)}".TrimEnd(' ', '-'), "as each of the two describes them");
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

    /// <returns>The figures of the run's tables, by table, row and column.</returns>
    private static async Task<Dictionary<string, double>> RunAsync(string checkout, string[] arguments, CancellationToken cancellation)
    {
        string program = Path.Combine(checkout, "artifacts", "bin", "Bench", "release", "ProxyTune.Bench.dll");
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, WorkingDirectory = checkout })
            ?? throw new InvalidOperationException($"{program} does not start.");
        string text = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0 ? Figures(text) : throw new InvalidOperationException($"{program} ended with code {process.ExitCode}.");
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
