namespace ProxyTune.Decoding.Generation;

/// <summary>Divides the work of a step among the calling thread and threads of .NET's pool.</summary>
/// <remarks>
/// The calling thread waits only for items that a pool thread has begun. A pool without a free thread reduces parallelism but never causes a
/// wait. Separate threads would have to spin to start as fast, and ONNX Runtime's threads spin already.
/// </remarks>
internal sealed class RowWorkers(int workers) : IThreadPoolWorkItem
{
    private readonly object gate = new();
    private Action<int> work = static _ => { };
    private int count;
    private int next;
    private int running;
    private int queued;

    /// <summary>Calls <paramref name="action"/>, which must not throw, for every item, each on one thread, and returns when all are done.</summary>
    public void Run(int items, Action<int> action)
    {
        int helpers = Math.Min(workers, items) - 1, missing;
        lock (gate)
        {
            (work, count, next) = (action, items, 0);
            missing = Math.Max(0, helpers - queued);
            queued += missing;
        }

        for (int i = 0; i < missing; i++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        WorkOff();
        lock (gate)
        {
            while (running > 0)
            {
                Monitor.Wait(gate);
            }
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        lock (gate)
        {
            queued--;
        }

        WorkOff();
    }

    private void WorkOff()
    {
        while (Take() is { } item)
        {
            work(item);
            lock (gate)
            {
                if (--running == 0)
                {
                    Monitor.PulseAll(gate);
                }
            }
        }
    }

    private int? Take()
    {
        lock (gate)
        {
            if (next == count)
            {
                return null;
            }

            running++;
            return next++;
        }
    }
}
