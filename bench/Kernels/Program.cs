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

// dotnet run --project bench/Kernels -c Release [-- --quick | --write]: what engine work costs per row, without any model.
// In this process, since the build has settings of its own that a generated project would not have.
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

// The names have the time in them; what is committed shall be replaced.
foreach (string file in Directory.GetFiles(summary.ResultsDirectoryPath, $"{summary.Title}*"))
{
    File.Move(file, Path.Combine(summary.ResultsDirectoryPath, "kernels" + Path.GetExtension(file)), overwrite: true);
}
