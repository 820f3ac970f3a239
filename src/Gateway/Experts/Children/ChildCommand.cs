using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding;

namespace ProxyTune.Gateway.Experts;

/// <summary>Commands that <see cref="LimitedChild"/> runs; people do not use them.</summary>
public static class ChildCommand
{
    internal const string Check = "check-expert";

    /// <summary>Runs a child's command.</summary>
    /// <returns>The exit code; null if the arguments are not a child's command.</returns>
    public static int? TryRun(string[] arguments) => arguments switch
    {
        [Check, var folder] => Run(() => CheckExpert(folder)),
        _ => null,
    };

    private static int Run(Action command)
    {
        ParentWatch.Start();
        ResourceLimits.Apply();
        OnnxEnvironment.EnsureCreated(threads: 1);
        command();
        return 0;
    }

    private static void CheckExpert(string folder)
    {
        // Running answers have priority.
        using (Process process = Process.GetCurrentProcess())
        {
            process.PriorityClass = ProcessPriorityClass.BelowNormal;
        }

        // The parent writes nothing. The input ends when the parent ends.
        new Thread(() =>
        {
            while (Console.In.Read() >= 0)
            {
            }

            Environment.Exit(1);
        })
        {
            IsBackground = true,
        }.Start();
        ChildAnswer answer = new();
        try
        {
            ModelCheck.Check(folder);
            ModelProbe.Run(folder);
        }
        catch (EngineException error)
        {
            answer = new(error.MessageWithoutFolder, error.Field);
        }

        Console.Out.WriteLine(JsonSerializer.Serialize(answer, ChildJson.Default.ChildAnswer));
        Console.Out.Flush();
    }
}

/// <summary>A child's answer, one line of JSON.</summary>
/// <param name="Error">What is wrong; null if nothing is.</param>
internal sealed record ChildAnswer(string? Error = null, string? Field = null);

[JsonSerializable(typeof(ChildAnswer))]
internal sealed partial class ChildJson : JsonSerializerContext;
