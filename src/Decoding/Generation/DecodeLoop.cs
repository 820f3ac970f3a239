using System.Diagnostics;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>The loop of one base.</summary>
/// <remarks>
/// A step runs the requests that are ready. A request that waits for a remote member joins a later step, so that no other request waits for it.
/// </remarks>
internal sealed class DecodeLoop
{
    private static readonly TimeSpan AfterFault = TimeSpan.FromMilliseconds(50), BrokenTime = TimeSpan.FromSeconds(30);

    private readonly ILanguageModel model;
    private readonly SchedulerOptions options;
    private readonly LoopTotals totals;
    private readonly Func<DecodeLoop, bool> tryEnd;
    private readonly WakeEvent wake = new();
    private readonly AdmissionQueue local;
    private readonly AdmissionQueue remote;
    private readonly DecodingStep step;
    private readonly PrefillStep prefill;
    private readonly List<LiveRequest> live = [];
    private readonly List<LiveRequest> ready = [];
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool isStopping;
    private volatile bool endsWhenIdle;
    private volatile Exception? failure;
    private long failedAt;
    private long roomSeen;

    /// <param name="tryEnd">Whether the loop may end now, since it has no requests.</param>
    public DecodeLoop(ILanguageModel model, SchedulerOptions options, LoopTotals totals, Func<DecodeLoop, bool> tryEnd)
    {
        (this.model, this.options, this.totals, this.tryEnd) = (model, options, totals, tryEnd);
        local = new(options.MaxRunning, options.MaxWaiting, wake);
        remote = new(options.MaxRemote, options.MaxWaiting, wake);
        step = new(model, options);
        prefill = new(options.PromptTokensPerStep);
        new Thread(Loop) { Name = "decode", IsBackground = true }.Start();
    }

    /// <summary>What the last step threw, though nothing in it may throw; null after a step that computed something, and after some time, so that a server that gets no requests is tried again.</summary>
    public Exception? Failure => failure is { } fault && Stopwatch.GetElapsedTime(Volatile.Read(ref failedAt)) < BrokenTime ? fault : null;

    /// <summary>The number of requests that wait for a place.</summary>
    public int Waiting => local.Count + remote.Count;

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, or Stopping.</exception>
    public GenerationStream Submit(GenerationRequest request)
    {
        GenerationStream generation = new(request, request.Prompt.IsRemote ? remote : local);
        generation.AdmissionQueue.Add(generation);
        return generation;
    }

    public void Wake() => wake.Set();

    public void EndWhenIdle()
    {
        endsWhenIdle = true;
        wake.Set();
    }

    /// <returns>A task that completes after the current step.</returns>
    public Task StopAsync()
    {
        isStopping = true;
        Close();
        return ended.Task;
    }

    private void Loop()
    {
        bool isEnded = false;
        while (!isStopping && !isEnded)
        {
            try
            {
                if (Step())
                {
                    failure = null;
                }
                else if (!(isEnded = endsWhenIdle && live.Count == 0 && tryEnd(this)))
                {
                    wake.Wait();
                }
            }
            catch (Exception e)
            {
                // Every call that a request, a model or a rule can make fail is guarded, so this is a fault of the loop itself.
                Break(e);
            }
        }

        Guard(Close);
        FailLive(AdmissionQueue.Stopping());
        Guard(Retire);
        ended.SetResult();
    }

    /// <summary>Fails the live requests after a fault of the loop itself. A fault that comes again and again must not take all of a processor.</summary>
    private void Break(Exception fault)
    {
        totals.Fault(fault);
        (failure, failedAt) = (fault, Stopwatch.GetTimestamp());
        FailLive(new(EngineError.ModelFailure, $"The decode loop failed: {fault.Message}", inner: fault));
        Thread.Sleep(AfterFault);
    }

    /// <returns>Whether anything was computed.</returns>
    private bool Step()
    {
        Retire();
        if (totals.RoomVersion is var version && version != roomSeen)
        {
            roomSeen = version;
            local.Unblock();
            remote.Unblock();
        }

        Admit(local);
        if (!local.IsBlocked)
        {
            Admit(remote);
        }

        (int promptBudget, bool hasRun) = prefill.Run(live, ready);
        if (ready.Count > 0)
        {
            totals.Count(step.Run(ready, promptBudget));
        }

        return hasRun || ready.Count > 0;
    }

    /// <summary>Starts the waiting requests that find a place and memory.</summary>
    private void Admit(AdmissionQueue queue)
    {
        while (queue.Take() is { } next)
        {
            if (next.IsCancelled)
            {
                queue.Leave(next);
                continue;
            }

            try
            {
                live.Add(Start(next));
                totals.Started(next.Request.Prompt.TokenCount);
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull && (totals.Running > 0 || totals.RoomVersion != roomSeen))
            {
                // A member has no free row or memory. A running request of any loop must free some before the next attempt.
                queue.PutBack(next);
            }
            catch (Exception e)
            {
                queue.Leave(next);
                next.Fail(ModelFailure.Of(model, e));
            }
        }
    }

    private LiveRequest Start(GenerationStream generation)
    {
        Sequence sequence = model.Start(generation.Request.Start);
        try
        {
            return new(generation, model, sequence, wake, step.StartRecord());
        }
        catch
        {
            sequence.Dispose();
            throw;
        }
    }

    private void Retire()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i] is { IsOver: true } over)
            {
                // The answer is complete, so there is no request to fail.
                live.RemoveAt(i);
                Guard(over.Dispose);
                Guard(() => over.AdmissionQueue.Leave(over.Generation));
                totals.Ended();
            }
        }
    }

    private void FailLive(EngineException failure) => live.ForEach(request => Guard(() => request.Fail(failure)));

    /// <summary>Counts an exception of a call that must not keep the loop from what follows.</summary>
    private void Guard(Action call)
    {
        try
        {
            call();
        }
        catch (Exception e)
        {
            totals.Fault(e);
        }
    }

    private void Close()
    {
        local.Close();
        remote.Close();
    }
}

/// <summary>What the loops of a scheduler have in common: counts, and the news that memory or rows of models became free. Thread-safe.</summary>
internal sealed class LoopTotals
{
    private int running;
    private long faults;
    private long roomVersion;
    private long steps;
    private long tokens;
    private long blocks;
    private long drafted;
    private long accepted;
    private long promptTokens;

    /// <summary>Raised after <see cref="RoomVersion"/> has changed.</summary>
    public event Action? RoomFreed;

    /// <summary>The number of requests with a sequence.</summary>
    public int Running => Volatile.Read(ref running);

    /// <summary>Changes when memory or a row of a model may have become free.</summary>
    public long RoomVersion => Interlocked.Read(ref roomVersion);

    public void Started(int ofPrompt)
    {
        Interlocked.Increment(ref running);
        Interlocked.Add(ref promptTokens, ofPrompt);
    }

    public void Ended()
    {
        // The version changes first: a loop that finds nothing running then sees that it must try once more.
        Interlocked.Increment(ref roomVersion);
        Interlocked.Decrement(ref running);
        RoomFreed?.Invoke();
    }

    /// <summary>Counts an exception for which no request can fail. It is written to the error stream, since the engine has no other log.</summary>
    public void Fault(Exception cause)
    {
        Interlocked.Increment(ref faults);
        Console.Error.WriteLine($"A decode loop met a fault and goes on: {cause}");
    }

    public void Count(StepCount count)
    {
        Interlocked.Add(ref tokens, count.Tokens);
        Interlocked.Add(ref blocks, count.Blocks);
        Interlocked.Add(ref drafted, count.Drafted);
        Interlocked.Add(ref accepted, count.Accepted);
        Interlocked.Increment(ref steps);
    }

    public SchedulerStatistics Statistics(int waiting) =>
        new(Running, waiting, Interlocked.Read(ref steps), Interlocked.Read(ref tokens), Interlocked.Read(ref promptTokens))
        {
            Faults = Interlocked.Read(ref faults),
            Drafts = new(Interlocked.Read(ref blocks), Interlocked.Read(ref tokens), Interlocked.Read(ref drafted), Interlocked.Read(ref accepted)),
        };
}
