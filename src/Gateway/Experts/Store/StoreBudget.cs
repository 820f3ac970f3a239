using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Bytes that the folder holds. Thread-safe.</summary>
internal sealed class StoreBudget(long most)
{
    private long used;

    public long Used => Interlocked.Read(ref used);

    /// <exception cref="EngineException">StoreFull.</exception>
    public void Take(long bytes)
    {
        if (Interlocked.Add(ref used, bytes) > most)
        {
            Interlocked.Add(ref used, -bytes);
            throw new EngineException(
                EngineError.StoreFull, $"The experts' folder holds {Used} of at most {most} bytes (Experts:MaxBytes), so {bytes} more do not fit; delete an expert.", "Experts:MaxBytes");
        }
    }

    /// <summary>What is there already, whatever the limit.</summary>
    public void Add(long bytes) => Interlocked.Add(ref used, bytes);
}
