using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Counts the bytes of one upload, or of its archive, and holds the limits of the upload and the store.</summary>
internal sealed class UploadAccounting(long maxBytes, StoreBudget budget) : IDisposable
{
    private long taken;

    /// <exception cref="EngineException">UploadTooLarge or StoreFull.</exception>
    public void Take(long bytes)
    {
        if (taken + bytes > maxBytes)
        {
            throw new EngineException(
                EngineError.UploadTooLarge, $"The upload is larger than {maxBytes} bytes, the largest accepted size (Experts:MaxUploadBytes).", "Experts:MaxUploadBytes");
        }

        budget.Take(bytes);
        taken += bytes;
    }

    /// <summary>Marks bytes that stay in the store. Disposal gives back the others.</summary>
    public void Commit(long bytes) => taken -= bytes;

    public void Dispose()
    {
        budget.Add(-taken);
        taken = 0;
    }
}
