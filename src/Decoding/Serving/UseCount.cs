namespace ProxyTune.Decoding.Serving;

/// <summary>Who uses something that may go at run time: it is free when it was closed and the last user has left. Thread-safe.</summary>
internal sealed class UseCount
{
    private readonly TaskCompletionSource free = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // One for being open.
    private int count = 1;
    private int closed;

    /// <summary>Completes when it is closed and nobody uses it any more.</summary>
    public Task Free => free.Task;

    /// <returns>To be disposed by who leaves; null where it is free already.</returns>
    public IDisposable? TryUse()
    {
        int seen = Volatile.Read(ref count);
        while (seen > 0)
        {
            int now = Interlocked.CompareExchange(ref count, seen + 1, seen);
            if (now == seen)
            {
                return new Use(this);
            }

            seen = now;
        }

        return null;
    }

    public void Close()
    {
        if (Interlocked.Exchange(ref closed, 1) == 0)
        {
            Leave();
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref count) == 0)
        {
            free.SetResult();
        }
    }

    private sealed class Use(UseCount owner) : IDisposable
    {
        private UseCount? left = owner;

        public void Dispose() => Interlocked.Exchange(ref left, null)?.Leave();
    }
}
