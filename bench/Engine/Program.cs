using System.CommandLine;
using ProxyTune.Bench;
using ProxyTune.Bench.Bases;
using ProxyTune.Bench.Chaos;
using ProxyTune.Bench.Growth;
using ProxyTune.Bench.Hazards;
using ProxyTune.Bench.Patches;
using ProxyTune.Bench.Speculation;
using ProxyTune.Bench.WideRows;
using ProxyTune.Testing;

Option<string?> models = new("--models") { Description = "Models folder. Default: the models of the checkout, or a stand-in with random weights if it has none.", HelpName = "FOLDER" };
Option<string?> model = new("--model") { Description = "Served model. Default: the first one with experts.", HelpName = "NAME" };
Option<bool> quick = new("--quick") { Description = "Runs for a few seconds as a check that everything works; the figures are rough." };
Option<bool> write = new("--write") { Description = "Writes the figures into docs/performance.md." };
RootCommand root = new("Measures the engine and the gateway. It takes some minutes, and the machine should be idle.") { models, model, quick, write, SpeculationCommand.Create(), GrowthCommand.Create(), PatchesCommand.Create(), WideRowsCommand.Create(), BasesCommand.Create(), ChaosCommand.Create(), HazardsCommand.Create(), CompareCommand.Create() };
root.SetAction(async (arguments, _) =>
{
#if DEBUG
    Console.Error.WriteLine("This is a Debug build; benchmarks need -c Release.");
#endif
    Settings settings = arguments.GetValue(quick) ? Settings.Quick : Settings.Full;
    Report report = new();
    using Family family = Family.Open(arguments.GetValue(models), arguments.GetValue(model));
    Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- {string.Join(' ', args)}".TrimEnd(' ', '-'), family.Description);
    await Overhead.MeasureAsync(family, report, settings);
    await PatchedExperts.MeasureAsync(family, report, settings);
    await Blocks.MeasureAsync(family, report, settings);
    string[][] throughput = [.. await Throughput.MeasureAsync(family, settings), await OverHttp.ThroughputAsync(family, settings)];
    report.Table($"Throughput, {Throughput.PromptTokens} tokens of prompt and {settings.Tokens} of answer, sampled", Throughput.Header, throughput);
    await OverHttp.FirstTokenAsync(family, report, settings);
    await OverHttp.StartUpAsync(family, report, settings);
    await FusedRows.MeasureAsync(report, settings);
    if (arguments.GetValue(write))
    {
        report.WriteInto(Path.Combine(Repository.Root, "docs", "performance.md"), "measured");
    }
});
return await root.Parse(args).InvokeAsync();
