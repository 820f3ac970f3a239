using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

/// <summary>Requests that wait for a place, in order of arrival; bounded. Thread-safe. Whatever the loop must look at rings the bell.</summary>
internal sealed class WaitingQueue(int capacity, WakeEvent bell)
{
    private readonly object gate = new();
    private readonly LinkedList<GenerationStream> waiting = [];
    private bool isClosed;

    public int Count
    {
        get
        {
            lock (gate)
            {
                return waiting.Count;
            }
        }
    }

    /// <exception cref="EngineException">QueueFull, or Stopping after <see cref="Close"/>.</exception>
    public void Add(GenerationStream generation)
    {
        lock (gate)
        {
            if (isClosed)
            {
                throw Stopping();
            }

            if (waiting.Count >= capacity)
            {
                throw new EngineException(EngineError.QueueFull, $"{waiting.Count} requests are waiting already, the most allowed. Try again later.");
            }

            waiting.AddLast(generation);
        }

        bell.Ring();
    }

    /// <summary>For one that was cancelled, whether it waits or runs by now.</summary>
    public void Remove(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.Remove(generation);
        }

        bell.Ring();
    }

    /// <summary>Takes the first one, or null when none waits.</summary>
    public GenerationStream? Take()
    {
        lock (gate)
        {
            GenerationStream? first = waiting.First?.Value;
            if (first is not null)
            {
                waiting.RemoveFirst();
            }

            return first;
        }
    }

    /// <summary>Back to the front, for one that was taken too early.</summary>
    public void PutBack(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.AddFirst(generation);
        }
    }

    /// <summary>Refuses newcomers and fails all who wait.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            foreach (GenerationStream generation in waiting)
            {
                generation.Fail(Stopping());
            }

            waiting.Clear();
        }

        bell.Ring();
    }

    public static EngineException Stopping() => new(EngineError.Stopping, "The engine is shutting down.");
}
