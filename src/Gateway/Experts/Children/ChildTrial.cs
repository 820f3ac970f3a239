using System.Text.Json;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks and runs an uploaded model in a child process, so that what it does to it, it does not do to the server.</summary>
/// <param name="limits">Of the child.</param>
public sealed class ChildTrial(ChildProgram program, ChildLimits limits)
{
    // Several at once would take several times the memory, and the cores from those who answer.
    private readonly Lock trialLock = new();

    /// <summary>An <see cref="ExpertTrial"/>, one at a time. A patch is only numbers and is checked where it is.</summary>
    /// <exception cref="EngineException">InvalidExpert, naming what the check found, or which limit was passed.</exception>
    public Task RunAsync(string folder, ExpertKind kind, CancellationToken cancellation) => kind == ExpertKind.Patch
        ? Task.CompletedTask
        : Task.Run(
            () =>
            {
                lock (trialLock)
                {
                    Run(folder, cancellation);
                }
            },
            cancellation);

    private void Run(string folder, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        try
        {
            using LimitedChild child = new(program, limits, folder + "-trial", ChildCommand.Check, folder);
            ChildAnswer answer = JsonSerializer.Deserialize(child.Ask(null, cancellation: cancellation), ChildJson.Default.ChildAnswer)!;
            if (answer.Error is not null)
            {
                throw new EngineException(EngineError.InvalidExpert, answer.Error, answer.Field);
            }
        }
        catch (ChildException error)
        {
            throw new EngineException(EngineError.InvalidExpert, $"The model is refused, since checking it {error.Message}.", "file", error);
        }
    }
}
