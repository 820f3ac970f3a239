using System.Collections.Concurrent;

namespace ProxyTune.Trainer.Data;

/// <summary>Computes items on one background thread, in order and before they are needed.</summary>
internal sealed class Prefetch<T> : IDisposable
{
    private readonly BlockingCollection<T> ready;
    private readonly CancellationTokenSource stop = new();
    private readonly Task work;

    /// <param name="next">Computes the next item; called on the background thread only.</param>
    /// <param name="ahead">The largest number of finished items that wait.</param>
    public Prefetch(Func<T> next, int ahead = 4)
    {
        ready = new BlockingCollection<T>(ahead);
        work = Task.Factory.StartNew(() => Fill(next), stop.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <exception cref="Exception">The exception that the computation of the item threw.</exception>
    public T Take()
    {
        if (!ready.TryTake(out T? item, Timeout.Infinite))
        {
            work.GetAwaiter().GetResult();
        }

        return item!;
    }

    public void Dispose()
    {
        stop.Cancel();
        try
        {
            work.Wait();
        }
        catch (AggregateException)
        {
            // The task was cancelled, or it failed and its result is no longer needed.
        }

        ready.Dispose();
        stop.Dispose();
    }

    private void Fill(Func<T> next)
    {
        try
        {
            while (true)
            {
                ready.Add(next(), stop.Token);
            }
        }
        finally
        {
            ready.CompleteAdding();
        }
    }
}
