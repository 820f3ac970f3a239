using System.Collections.Concurrent;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Ports patches to bases that they were not trained on, and evaluates them by a task. One port per patch at a time.</summary>
internal sealed class Porting(ExpertRegistry registry, TaskEvaluation evaluation, IHostApplicationLifetime lifetime, ILogger<Porting> logger)
{
    private readonly ConcurrentDictionary<string, Task<PortOutcome>> running = [];

    /// <summary>Whether a port of the patch is running.</summary>
    public bool IsRunning(string id) => running.TryGetValue(id, out Task<PortOutcome>? port) && !port.IsCompleted;

    /// <summary>Result of the patch's last port since the server started; null if there was none or it is running.</summary>
    public PortOutcome? LastOf(string id) => running.TryGetValue(id, out Task<PortOutcome>? port) && port.IsCompletedSuccessfully ? port.Result : null;

    /// <summary>Begins a port. The checks that need no evaluation are done when this returns.</summary>
    /// <returns>Completes with the result, and never fails.</returns>
    /// <exception cref="EngineException">UnknownUpload, UnknownModel, InvalidValue; Conflict: a port of the patch is running.</exception>
    public Task<PortOutcome> Begin(string id, PortSettings settings)
    {
        _ = registry.Fit(id, settings.Base);
        if (settings.Moves is { } name)
        {
            registry.RequireServed(id, name);
        }

        TaskCompletionSource<PortOutcome> outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<PortOutcome> port = running.AddOrUpdate(id, outcome.Task, (_, other) => other.IsCompleted ? outcome.Task : other);
        if (port != outcome.Task)
        {
            throw new EngineException(EngineError.Conflict, $"'{id}' is being ported; wait until that is done.", "id");
        }

        _ = Task.Run(async () => outcome.SetResult(await RunAsync(id, settings)));
        return port;
    }

    private async Task<PortOutcome> RunAsync(string id, PortSettings settings)
    {
        try
        {
            PortRecord port = await JudgeAsync(id, settings);
            registry.Record(port);
            if (settings.Moves is { } name && port.State != PatchState.Refused)
            {
                await registry.MoveAsync(id, name, settings.Base);
                registry.Record(port = port with { Moved = name });
            }

            return new(port, null);
        }
        catch (Exception error) when (error is EngineException or IOException or OperationCanceledException)
        {
            logger.LogWarning("The port of {Expert} to {Base} failed: {Reason}", id, settings.Base, error.Message);
            return new(null, error.Message);
        }
        finally
        {
            File.Delete(settings.Task);
        }
    }

    private async Task<PortRecord> JudgeAsync(string id, PortSettings settings)
    {
        PortRecord port = registry.Examine(id, settings.Base);
        if (port.State == PatchState.Native || !port.Fits)
        {
            return port;
        }

        string? donor = registry.DonorOf(id);
        PortScores scores = new(
            await ScoreAsync(null, settings.Base, settings.Task),
            await ScoreAsync(id, settings.Base, settings.Task),
            donor is null ? null : await ScoreAsync(id, donor, settings.Task),
            settings.AtLeast);
        return port with { Scores = scores, State = scores.Pass ? PatchState.Ported : PatchState.Refused, Reason = scores.Describe() };
    }

    private async Task<TaskScore> ScoreAsync(string? id, string folder, string task)
    {
        (string name, IAsyncDisposable served) = await registry.ServeForEvaluationAsync(id, folder);
        await using (served)
        {
            return await evaluation.ScoreAsync(name, task, lifetime.ApplicationStopping);
        }
    }
}

/// <param name="Base">Name of the model folder.</param>
/// <param name="Task">Path of a .jsonl file of examples, which is deleted afterwards.</param>
/// <param name="AtLeast">The share of the donor's gain that has to be kept.</param>
/// <param name="Moves">Name of a served model of the patch that is moved to the base when the patch passes; null for none.</param>
internal sealed record PortSettings(string Base, string Task, double AtLeast = PortSettings.UsualAtLeast, string? Moves = null)
{
    public const double UsualAtLeast = 0.9;
}

/// <param name="Port">Null if the evaluation did not run.</param>
/// <param name="Failure">Why the evaluation did not run; null if it ran.</param>
internal sealed record PortOutcome(PortRecord? Port, string? Failure);
