namespace ProxyTune.Decoding.Generation;

/// <summary>Requests that wait for a place, in order of arrival; bounded. Thread-safe.</summary>
internal sealed class WaitingLine(int capacity)
{
    private readonly object gate = new();
    private readonly LinkedList<Generation> waiting = [];
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
    public void Add(Generation generation)
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
            Monitor.Pulse(gate);
        }
    }

    public void Remove(Generation generation)
    {
        lock (gate)
        {
            waiting.Remove(generation);
        }
    }

    /// <summary>Takes the first one, or null when none waits.</summary>
    public Generation? Take()
    {
        lock (gate)
        {
            Generation? first = waiting.First?.Value;
            if (first is not null)
            {
                waiting.RemoveFirst();
            }

            return first;
        }
    }

    /// <summary>Back to the front, for one that was taken too early.</summary>
    public void PutBack(Generation generation)
    {
        lock (gate)
        {
            waiting.AddFirst(generation);
        }
    }

    /// <summary>Blocks until someone waits.</summary>
    /// <returns>False when the line was closed.</returns>
    public bool WaitForAny()
    {
        lock (gate)
        {
            while (waiting.Count == 0 && !isClosed)
            {
                Monitor.Wait(gate);
            }

            return !isClosed;
        }
    }

    /// <summary>Refuses newcomers and fails all who wait.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            foreach (Generation generation in waiting)
            {
                generation.Fail(Stopping());
            }

            waiting.Clear();
            Monitor.Pulse(gate);
        }
    }

    public static EngineException Stopping() => new(EngineError.Stopping, "The engine is shutting down.");
}
