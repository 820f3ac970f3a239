using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Counts the bytes of one upload, or of its archive, against its own limit and the store's.</summary>
internal sealed class UploadAccounting(long most, StoreBudget budget) : IDisposable
{
    private long taken;

    /// <exception cref="EngineException">UploadTooLarge or StoreFull.</exception>
    public void Take(long bytes)
    {
        if (taken + bytes > most)
        {
            throw new EngineException(
                EngineError.UploadTooLarge, $"The upload is larger than {most} bytes, which is the most that one may have (Experts:MaxUploadBytes).", "Experts:MaxUploadBytes");
        }

        budget.Take(bytes);
        taken += bytes;
    }

    /// <summary>That many stay in the store; the others are given back.</summary>
    public void Keep(long bytes) => taken -= bytes;

    public void Dispose()
    {
        budget.Add(-taken);
        taken = 0;
    }
}
