namespace ProxyTune.Decoding;

/// <summary>
/// Objects that keep large buffers, as many as threads work with one at the same time. The one that was returned last is rented first, since
/// its buffers are most likely still in a cache.
/// </summary>
internal sealed class ScratchPool<T>
    where T : class, new()
{
    private readonly Lock gate = new();
    private readonly Stack<T> free = [];

    public T Rent()
    {
        lock (gate)
        {
            if (free.TryPop(out T? scratch))
            {
                return scratch;
            }
        }

        return new();
    }

    public void Return(T scratch)
    {
        lock (gate)
        {
            free.Push(scratch);
        }
    }
}
