using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Runs this benchmark and that of an earlier commit in turns, and prints the ratio of each figure that both print at the same place.</summary>
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
            List<(List<Table> Old, List<Table> New)> runs = [];
            for (int round = 0; round < arguments.GetValue(rounds); round++)
            {
                // The two commits take turns in running first.
                bool isOldFirst = round % 2 == 0;
                List<Table> first = await RunAsync(isOldFirst ? arguments.GetValue(old)! : Repository.Root, passed, cancellation);
                List<Table> second = await RunAsync(isOldFirst ? Repository.Root : arguments.GetValue(old)!, passed, cancellation);
                runs.Add(isOldFirst ? (first, second) : (second, first));
            }

            Report report = new();
            Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- compare --old FOLDER --rounds {runs.Count} -- {string.Join(' ', passed)}".TrimEnd(' ', '-'), "as described in the output of each run");
            report.Table("This commit against the earlier one", ["figure", "earlier", "this", "this / earlier", "lowest / lowest", "highest / highest"], [.. Rows(runs)]);
        });
        return command;
    }

    /// <summary>Places are compared and not titles, which may be worded anew. A table whose shape differs between the commits is left out.</summary>
    private static IEnumerable<string[]> Rows(List<(List<Table> Old, List<Table> New)> runs)
    {
        for (int table = 0; table < runs.Min(run => Math.Min(run.Old.Count, run.New.Count)); table++)
        {
            Table shape = runs[0].New[table];
            if (!runs.TrueForAll(run => run.Old[table].HasShapeOf(shape) && run.New[table].HasShapeOf(shape)))
            {
                continue;
            }

            for (int cell = 0; cell < shape.Figures.Count; cell++)
            {
                Samples before = new([.. runs.Select(run => run.Old[table].Figures[cell])]), now = new([.. runs.Select(run => run.New[table].Figures[cell])]);
                // A machine that changes its clock between two runs falsifies the ratio of a round, but not the ratio of the best runs.
                yield return [$"{shape.Title}: {shape.Names[cell]}", Written(before), Written(now), now.Over(before).Show("0.00"), Ratio(now.Values.Min(), before.Values.Min()), Ratio(now.Values.Max(), before.Values.Max())];
            }
        }

        static string Ratio(double now, double before) => (now / before).ToString("0.00", CultureInfo.InvariantCulture);

        static string Written(Samples samples) => samples.Median.ToString("0.###", CultureInfo.InvariantCulture);
    }

    private static async Task<List<Table>> RunAsync(string checkout, string[] arguments, CancellationToken cancellation)
    {
        string program = Path.Combine(checkout, "artifacts", "bin", "Bench", "release", "ProxyTune.Bench.dll");
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, WorkingDirectory = checkout })
            ?? throw new InvalidOperationException($"{program} could not be started.");
        string text = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0 ? Tables(text) : throw new InvalidOperationException($"{program} exited with code {process.ExitCode}.");
    }

    private static List<Table> Tables(string text)
    {
        List<Table> tables = [];
        string[] header = [];
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith("### ", StringComparison.Ordinal))
            {
                tables.Add(new(line[4..], [], []));
                header = [];
            }
            else if (line.StartsWith("| ", StringComparison.Ordinal) && tables.Count > 0)
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
                        tables[^1].Names.Add($"{cells[0]}, {header[column]}");
                        tables[^1].Figures.Add(double.Parse(number.Value, CultureInfo.InvariantCulture));
                    }
                }
            }
        }

        return tables;
    }

    private sealed record Table(string Title, List<string> Names, List<double> Figures)
    {
        public bool HasShapeOf(Table other) => Figures.Count == other.Figures.Count;
    }

    [GeneratedRegex(@"^[0-9]+(\.[0-9]+)?")]
    private static partial Regex Number();
}
