using System.Text.Json;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks and runs an uploaded model in a child process. A crash, a hang or too much memory there does not harm the server.</summary>
/// <param name="limits">Limits of the child.</param>
public sealed class ChildTrial(ChildProgram program, ChildLimits limits) : IDisposable
{
    // Several trials at once would take several times the memory, and cores that running answers need.
    private readonly SemaphoreSlim turn = new(1, 1);

    /// <summary>An <see cref="ExpertTrial"/>; one runs at a time, and the others hold no thread meanwhile. A patch has no code and is checked in the server.</summary>
    /// <exception cref="EngineException">InvalidExpert, with what the check found or which limit was exceeded.</exception>
    public async Task RunAsync(string folder, ExpertKind kind, CancellationToken cancellation)
    {
        if (kind == ExpertKind.Patch)
        {
            return;
        }

        await turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            await Task.Run(() => Run(folder, cancellation), cancellation).ConfigureAwait(false);
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

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
