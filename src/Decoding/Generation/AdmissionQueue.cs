using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

/// <summary>The origin of generations: one request of a client, which can ask for several answers. Equal origins are the same object.</summary>
/// <param name="caller">The sender. Requests of one caller share its turns.</param>
public sealed class RequestOrigin(string caller)
{
    public string Caller => caller;
}

/// <summary>
/// Requests that compete for the same places. There are two kinds: requests that this machine answers alone, and requests with a remote
/// member, which may be slow or down. Neither kind can use up the places, or the queue, of the other.
/// </summary>
/// <remarks>
/// A free place goes to the caller with the fewest running answers, then to the origin with the fewest, then to the one whose last turn, or whose
/// arrival, is longest ago. An origin that has a running answer cannot take the last quarter of the places, so that one request with many answers does not
/// keep the others waiting. Any thread may add and remove; only the loop takes. Every change that the loop must see sets the event.
/// </remarks>
/// <param name="places">The largest number of requests that run at the same time.</param>
/// <param name="capacity">The largest number of requests that wait.</param>
internal sealed class AdmissionQueue(int places, int capacity, WakeEvent wake)
{
    private readonly Lock gate = new();
    private readonly Dictionary<RequestOrigin, Line> lines = [];
    private readonly Dictionary<string, int> runningOfCaller = [];
    private readonly int lastPlaces = places / 4;
    private long turn;
    private int count;
    private int running;
    private bool isClosed;

    /// <summary>The number of waiting requests.</summary>
    public int Count
    {
        get
        {
            lock (gate)
            {
                return count;
            }
        }
    }

    /// <summary>Whether a request waits for memory or for a row of a model, and not only for a place. Only the loop reads it.</summary>
    public bool IsBlocked { get; private set; }

    /// <exception cref="EngineException">QueueFull, or Stopping after <see cref="Close"/>.</exception>
    public void Add(GenerationStream generation)
    {
        lock (gate)
        {
            if (isClosed || count >= capacity)
            {
                generation.EndUse();
                throw isClosed ? Stopping() : new(EngineError.QueueFull, $"{count} requests are waiting, which is the maximum. Try again later.");
            }

            if (!lines.TryGetValue(generation.Origin, out Line? line))
            {
                lines[generation.Origin] = line = new(++turn);
            }

            line.Waiting.AddLast(generation);
            count++;
        }

        wake.Set();
    }

    /// <summary>Removes a cancelled request. Nothing happens if it already runs.</summary>
    public void Remove(GenerationStream generation)
    {
        lock (gate)
        {
            if (lines.TryGetValue(generation.Origin, out Line? line) && line.Waiting.Remove(generation))
            {
                count--;
                Forget(generation.Origin, line);
                generation.EndUse();
            }
        }

        wake.Set();
    }

    /// <summary>Gives the next request a place; null if none waits or none may take a place. <see cref="Leave"/> ends its place.</summary>
    public GenerationStream? Take()
    {
        lock (gate)
        {
            KeyValuePair<RequestOrigin, Line>? next = null;
            foreach (KeyValuePair<RequestOrigin, Line> line in lines)
            {
                if (line.Value is { IsBlocked: true, Running: 0 })
                {
                    // It has nothing that runs, so others that overtook it could keep it waiting forever.
                    return null;
                }

                if (line.Value is { IsBlocked: false, Waiting.Count: > 0 } && places - running > (line.Value.Running == 0 ? 0 : lastPlaces)
                    && (next is not { } best || Key(line).CompareTo(Key(best)) < 0))
                {
                    next = line;
                }
            }

            if (next is not { } taken)
            {
                return null;
            }

            GenerationStream first = taken.Value.Waiting.First!.Value;
            taken.Value.Waiting.RemoveFirst();
            count--;
            Run(first, taken.Value, 1);
            taken.Value.EarlierTurn = taken.Value.Turn;
            taken.Value.Turn = ++turn;
            return first;
        }
    }

    /// <summary>Returns the request that was taken last, which cannot run yet, to the front of its line. It is taken again after <see cref="Unblock"/>.</summary>
    public void PutBack(GenerationStream generation)
    {
        lock (gate)
        {
            Line line = lines[generation.Origin];
            Run(generation, line, -1);
            line.Waiting.AddFirst(generation);
            count++;
            (line.Turn, line.IsBlocked, IsBlocked) = (line.EarlierTurn, true, true);
        }
    }

    /// <summary>Called when memory or a row of a model may have become free.</summary>
    public void Unblock()
    {
        if (!IsBlocked)
        {
            return;
        }

        lock (gate)
        {
            IsBlocked = false;
            foreach (Line line in lines.Values)
            {
                line.IsBlocked = false;
            }
        }
    }

    /// <summary>Ends the place of a request that was taken, and its use of models. Its sequence is disposed.</summary>
    public void Leave(GenerationStream generation)
    {
        lock (gate)
        {
            Line line = lines[generation.Origin];
            Run(generation, line, -1);
            Forget(generation.Origin, line);
        }

        generation.EndUse();
    }

    /// <summary>Refuses new requests and fails all waiting ones.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            foreach ((RequestOrigin origin, Line line) in lines)
            {
                foreach (GenerationStream generation in line.Waiting)
                {
                    generation.Fail(Stopping());
                    generation.EndUse();
                }

                line.Waiting.Clear();
                Forget(origin, line);
            }

            count = 0;
        }

        wake.Set();
    }

    public static EngineException Stopping() => new(EngineError.Stopping, "The engine is shutting down.");

    private (int, int, long) Key(KeyValuePair<RequestOrigin, Line> line) =>
        (runningOfCaller.GetValueOrDefault(line.Key.Caller), line.Value.Running, line.Value.Turn);

    private void Run(GenerationStream generation, Line line, int more)
    {
        running += more;
        line.Running += more;
        string caller = generation.Origin.Caller;
        int ofCaller = runningOfCaller.GetValueOrDefault(caller) + more;
        if (ofCaller == 0)
        {
            runningOfCaller.Remove(caller);
        }
        else
        {
            runningOfCaller[caller] = ofCaller;
        }
    }

    private void Forget(RequestOrigin origin, Line line)
    {
        if (line is { Waiting.Count: 0, Running: 0 })
        {
            lines.Remove(origin);
        }
    }

    /// <summary>The requests of one origin.</summary>
    private sealed class Line(long arrival)
    {
        public LinkedList<GenerationStream> Waiting { get; } = [];

        public int Running { get; set; }

        /// <summary>The number of the last turn, or of the arrival.</summary>
        public long Turn { get; set; } = arrival;

        /// <summary>The value of <see cref="Turn"/> before the last turn.</summary>
        public long EarlierTurn { get; set; }

        public bool IsBlocked { get; set; }
    }
}

/// <summary>Wakes a decode loop. The event stays set until the loop waits, so no event is lost between a check and the wait. Thread-safe.</summary>
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
