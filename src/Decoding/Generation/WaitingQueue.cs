using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

/// <summary>Requests that wait for a place, in order of arrival; bounded. Thread-safe. Every change that the decode loop must see sets the event.</summary>
internal sealed class WaitingQueue(int capacity, WakeEvent wake)
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

        wake.Set();
    }

    /// <summary>Removes a cancelled request; it may run by now.</summary>
    public void Remove(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.Remove(generation);
        }

        wake.Set();
    }

    /// <summary>Takes the first request, or null when none waits.</summary>
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

    /// <summary>Puts a request that was taken too early back to the front.</summary>
    public void PutBack(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.AddFirst(generation);
        }
    }

    /// <summary>Refuses new requests and fails all that wait.</summary>
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

        wake.Set();
    }

    public static EngineException Stopping() => new(EngineError.Stopping, "The engine is shutting down.");
}

/// <summary>
/// Requests that compete for the same places. There are two kinds: requests that this machine answers alone, and requests with a remote
/// member, which may be slow or down. Neither kind can use up the places, or the queue, of the other.
/// </summary>
/// <param name="places">The most requests that run at the same time.</param>
internal sealed class AdmissionQueue(int places, int capacity, WakeEvent wake)
{
    public WaitingQueue Waiting { get; } = new(capacity, wake);

    /// <summary>Requests that run. Only the scheduler's thread changes it.</summary>
    public int Running { get; set; }

    public bool HasPlace => Running < places;
}

/// <summary>Wakes the decode loop. The event stays set until the loop waits, so none is lost between a look and the wait. Thread-safe.</summary>
internal sealed class WakeEvent
{
    private readonly object gate = new();
    private bool isSet;

    public void Set()
    {
        lock (gate)
        {
            isSet = true;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Blocks until it was set since the last wait.</summary>
    public void Wait()
    {
        lock (gate)
        {
            while (!isSet)
            {
                Monitor.Wait(gate);
            }

            isSet = false;
        }
    }
}
