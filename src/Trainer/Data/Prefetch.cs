using System.Collections.Concurrent;

namespace ProxyTune.Trainer.Data;

/// <summary>Computes items on one background thread, in order and a few ahead of their use.</summary>
internal sealed class Prefetch<T> : IDisposable
{
    private readonly BlockingCollection<T> _ready;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    /// <param name="next">Gives the next item; called on the background thread only.</param>
    /// <param name="ahead">Most items that wait.</param>
    public Prefetch(Func<T> next, int ahead = 4)
    {
        _ready = new BlockingCollection<T>(ahead);
        _work = Task.Factory.StartNew(() => Fill(next), _stop.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <exception cref="Exception">What computing the item threw.</exception>
    public T Take()
    {
        if (!_ready.TryTake(out var item, Timeout.Infinite))
        {
            _work.GetAwaiter().GetResult();
        }

        return item!;
    }

    public void Dispose()
    {
        _stop.Cancel();
        try
        {
            _work.Wait();
        }
        catch (AggregateException)
        {
            // Cancelled, or an error that nobody asked for.
        }

        _ready.Dispose();
        _stop.Dispose();
    }

    private void Fill(Func<T> next)
    {
        try
        {
            while (true)
            {
                _ready.Add(next(), _stop.Token);
            }
        }
        finally
        {
            _ready.CompleteAdding();
        }
    }
}
