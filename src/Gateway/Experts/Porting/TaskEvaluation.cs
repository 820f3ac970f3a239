using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Asks a served model the questions of a task: runs the trainer's <c>evaluate</c> as a child process against this server.</summary>
/// <param name="key">The operators' key, which the child sends; null if none is configured.</param>
internal sealed class TaskEvaluation(EvaluationOptions options, IServer server, string? key)
{
    private const string KeyVariable = "PROXYTUNE_KEY";
    private const string TrainerFile = "ProxyTune.Trainer.dll";

    /// <param name="served">Name of a served model.</param>
    /// <param name="task">A .jsonl file of examples.</param>
    /// <exception cref="EngineException">EvaluationFailed, with the child's output.</exception>
    public async Task<TaskScore> ScoreAsync(string served, string task, CancellationToken cancellation)
    {
        using Process child = new() { StartInfo = Command("evaluate", "--url", $"{OwnAddress()}/v1", "--served", served, "--data", task, "--json") };
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(options.TimeoutSeconds));
        try
        {
            child.Start();
            Task<string> output = child.StandardOutput.ReadToEndAsync(limit.Token), errors = child.StandardError.ReadToEndAsync(limit.Token);
            await child.WaitForExitAsync(limit.Token);
            return child.ExitCode == 0 ? Read(await output) : throw Failed($"it ended with {child.ExitCode}: {Tail(await errors)}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw Failed($"it took more than {options.TimeoutSeconds} s (Gate:TimeoutSeconds).");
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw Failed($"dotnet cannot be started: {error.Message}");
        }
        finally
        {
            End(child);
        }
    }

    private ProcessStartInfo Command(params IEnumerable<string> arguments)
    {
        string trainer = options.Trainer ?? FindTrainer();
        string[] how = Directory.Exists(trainer)
            ? ["run", "--project", trainer, "-c", "Release", "--"]
            : File.Exists(trainer) ? [trainer] : throw Failed($"Gate:Trainer is '{trainer}'; accepted is the path of {TrainerFile} or of its project folder.");
        ProcessStartInfo start = new("dotnet", [.. how, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Remove(KeyVariable);
        if (key is not null)
        {
            start.Environment[KeyVariable] = key;
        }

        return start;
    }

    private static string FindTrainer()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine(folder.FullName, "src", "Trainer");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }

        throw Failed($"there is no src/Trainer above {AppContext.BaseDirectory}; say with Gate:Trainer where {TrainerFile} is.");
    }

    /// <summary>The server's address for a process on this machine.</summary>
    private string OwnAddress()
    {
        string address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault(address => address.StartsWith("http:", StringComparison.Ordinal))
            ?? throw Failed("the server has no http address.");
        return address.Replace("//[::]", "//127.0.0.1", StringComparison.Ordinal).Replace("//0.0.0.0", "//127.0.0.1", StringComparison.Ordinal)
            .Replace("//+", "//127.0.0.1", StringComparison.Ordinal).Replace("//*", "//127.0.0.1", StringComparison.Ordinal).TrimEnd('/');
    }

    private static TaskScore Read(string output)
    {
        try
        {
            using JsonDocument score = JsonDocument.Parse(output.Trim().Split('\n')[^1]);
            return new(score.RootElement.GetProperty("right").GetInt32(), score.RootElement.GetProperty("total").GetInt32());
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw Failed($"it printed no score but: {Tail(output)}");
        }
    }

    private static string Tail(string text) => text.Trim() is var trimmed && trimmed.Length > 500 ? trimmed[^500..] : trimmed;

    private static void End(Process child)
    {
        try
        {
            child.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // The child has ended, or did not start.
        }
    }

    private static EngineException Failed(string why) => new(EngineError.EvaluationFailed, $"The evaluation did not run: {why}");
}
