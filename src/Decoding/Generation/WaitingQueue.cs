using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

/// <summary>A bounded queue of requests that wait for a place, in order of arrival. Thread-safe. Every change that the decode loop must see sets the event.</summary>
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
                throw new EngineException(EngineError.QueueFull, $"{waiting.Count} requests are waiting, which is the maximum. Try again later.");
            }

            waiting.AddLast(generation);
        }

        wake.Set();
    }

    /// <summary>Removes a cancelled request. Nothing happens if it already runs.</summary>
    public void Remove(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.Remove(generation);
        }

        wake.Set();
    }

    /// <summary>Takes the first request; null if none waits.</summary>
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

    /// <summary>Returns a request that cannot run yet to the front of the queue.</summary>
    public void PutBack(GenerationStream generation)
    {
        lock (gate)
        {
            waiting.AddFirst(generation);
        }
    }

    /// <summary>Refuses new requests and fails all waiting ones.</summary>
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
/// <param name="places">The largest number of requests that run at the same time.</param>
internal sealed class AdmissionQueue(int places, int capacity, WakeEvent wake)
{
    public WaitingQueue Waiting { get; } = new(capacity, wake);

    /// <summary>The number of running requests. Only the scheduler's thread changes it.</summary>
    public int Running { get; set; }

    public bool HasPlace => Running < places;
}

/// <summary>Wakes the decode loop. The event stays set until the loop waits, so no event is lost between a check and the wait. Thread-safe.</summary>
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

    /// <summary>Blocks until the event is set, and resets it.</summary>
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
