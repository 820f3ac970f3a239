using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Counts the bytes in the store's folder. Thread-safe.</summary>
internal sealed class StoreBudget(long maxBytes)
{
    private long used;

    public long Used => Interlocked.Read(ref used);

    /// <exception cref="EngineException">StoreFull.</exception>
    public void Take(long bytes)
    {
        if (Interlocked.Add(ref used, bytes) > maxBytes)
        {
            Interlocked.Add(ref used, -bytes);
            throw new EngineException(
                EngineError.StoreFull, $"The experts' folder holds {Used} of at most {maxBytes} bytes (Experts:MaxBytes), so {bytes} more do not fit; delete an expert.", "Experts:MaxBytes");
        }
    }

    /// <summary>Counts bytes that are already in the folder, without the limit; negative to give bytes back.</summary>
    public void Add(long bytes) => Interlocked.Add(ref used, bytes);
}
