using System.Diagnostics;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Tests;

/// <summary>Tests the program as a process.</summary>
public sealed class ProgramTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string folder = Tiny.NewFolder();

    [Fact]
    public async Task Main_Terminated_WritesACheckpointAndExitsWith130()
    {
        string output = Path.Combine(folder, "out");
        using Process process = Start("sft", "--config", Config(output, epochs: 100_000));
        while (!File.Exists(Path.Combine(output, "metrics.jsonl")) || new FileInfo(Path.Combine(output, "metrics.jsonl")).Length == 0)
        {
            Assert.False(process.HasExited, "ended early");
            await Task.Delay(50);
        }

        using Process kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        await process.WaitForExitAsync().WaitAsync(Patience);

        Assert.Equal(130, process.ExitCode);
        Assert.Single(Directory.GetDirectories(Path.Combine(output, "checkpoints")));
    }

    [Fact]
    public async Task Main_WrongSettings_ExitsWith1AndOneLine()
    {
        using Process process = Start("sft", "--config", Config(Path.Combine(folder, "out"), epochs: -1));
        string error = await process.StandardError.ReadToEndAsync().WaitAsync(Patience);
        await process.WaitForExitAsync();

        Assert.Equal(1, process.ExitCode);
        Assert.Contains("epochs is -1; accepted is 0.001 to", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo("dotnet", [typeof(Sft).Assembly.Location, .. arguments])
    {
        RedirectStandardError = true,
        RedirectStandardOutput = true,
    })!;

    private string Config(string output, double epochs)
    {
        string model = Tiny.SaveTextModel(Path.Combine(folder, "small"), Tiny.TextSpec, seed: 1);
        SftSettings settings = new(model, Tiny.SaveExamples(folder, Tiny.Examples), output, new OptimizerSettings(1e-3), epochs, EndOfAnswer: "<|end|>", Threads: 1);
        string path = Path.Combine(folder, "run.json");
        File.WriteAllText(path, SettingsFile.ToNode(settings).ToJsonString());
        return path;
    }
}
