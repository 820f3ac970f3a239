namespace ProxyTune.Decoding.Generation;

/// <summary>Wakes the decode loop. A ring while nobody listens is remembered, so none is lost between a look and the wait. Thread-safe.</summary>
internal sealed class WakeEvent
{
    private readonly object gate = new();
    private bool rung;

    public void Ring()
    {
        lock (gate)
        {
            rung = true;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Blocks until it was rung since the last wait.</summary>
    public void Wait()
    {
        lock (gate)
        {
            while (!rung)
            {
                Monitor.Wait(gate);
            }

            rung = false;
        }
    }
}
