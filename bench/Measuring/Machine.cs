using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using ProxyTune.Decoding;
using ProxyTune.Testing;

namespace ProxyTune.Measuring;

/// <summary>Describes the machine and the software that a figure depends on.</summary>
public static class Machine
{
    /// <summary>Load average before the first measurement. It shows the work of other processes.</summary>
    public static string LoadAverage { get; } =
        File.Exists("/proc/loadavg") ? string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ')[..3]) : "unknown";

    public static void Describe(Report report, string command, string models, params string[] software)
    {
        // Reading the version creates the ONNX Runtime environment.
        OnnxEnvironment.EnsureCreated();
        report.Line($"- command: `{command}`");
        report.Line($"- models: {models}");
        report.Line($"- machine: {Cpu()}, {Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription}; load average before the start {LoadAverage}");
        report.Line($"- software: commit {Commit()}, {RuntimeInformation.FrameworkDescription}, {string.Join(", ", (string[])[$"ONNX Runtime {OrtEnv.Instance().GetVersionString()}", .. software])}");
        report.Line();
    }

    private static string Cpu() =>
        (File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) : null)
            ?.Split(':')[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();

    private static string Commit()
    {
        try
        {
            // A changed report does not count as a change of the code.
            string changes = Git("status", "--porcelain", "--untracked-files=no", "--", "src", "bench");
            return Git("rev-parse", "--short", "HEAD") + (changes.Length > 0 ? " with changes" : "");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }
    }

    private static string Git(params string[] arguments)
    {
        using Process git = Process.Start(new ProcessStartInfo("git", arguments) { RedirectStandardOutput = true, WorkingDirectory = Repository.Root })!;
        return git.StandardOutput.ReadToEnd().Trim();
    }
}
