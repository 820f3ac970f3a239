using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;
using ProxyTune.Kernels;
using ProxyTune.Testing;

// dotnet run --project bench/Kernels -c Release [-- --quick | --write]: measures the engine's work per row without a model.
// The benchmarks run in this process because a generated project would lack this repository's build settings.
Job job = (args.Contains("--quick") ? Job.Dry : Job.Default.WithWarmupCount(3).WithIterationCount(15).WithIterationTime(TimeInterval.FromMilliseconds(50))).WithToolchain(InProcessEmitToolchain.Instance);
string results = args.Contains("--write") ? Path.Combine(Repository.Root, "bench", "Kernels") : Directory.CreateTempSubdirectory("proxytune-kernels-").FullName;
ManualConfig config = ManualConfig.CreateEmpty()
    .AddJob(job)
    .AddColumnProvider(DefaultColumnProviders.Instance)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .AddLogger(ConsoleLogger.Default)
    .AddExporter(MarkdownExporter.GitHub, JsonExporter.BriefCompressed)
    .WithArtifactsPath(results)
    .WithOptions(ConfigOptions.JoinSummary | ConfigOptions.DisableLogFile);
Summary summary = BenchmarkRunner.Run([typeof(WeightedSumOfRows), typeof(DynamicFactors), typeof(Sampling)], config)[0];

// BenchmarkDotNet puts the time into file names. Fixed names let a new run replace the committed files.
foreach (string file in Directory.GetFiles(summary.ResultsDirectoryPath, $"{summary.Title}*"))
{
    File.Move(file, Path.Combine(summary.ResultsDirectoryPath, "kernels" + Path.GetExtension(file)), overwrite: true);
}
