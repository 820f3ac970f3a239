using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Continuous batching: one loop on one thread; requests join and leave between steps.</summary>
/// <remarks>
/// The model stays the caller's; dispose the scheduler first. A step runs the requests that are ready; one whose member elsewhere has not
/// answered yet joins a later step, so that nobody else waits for it.
/// </remarks>
public sealed class DecodeScheduler : IAsyncDisposable
{
    private readonly ILanguageModel model;
    private readonly WakeEvent bell = new();
    private readonly AdmissionQueue local;
    private readonly AdmissionQueue remote;
    private readonly DecodingStep step;
    private readonly List<LiveRequest> live = [];
    private readonly List<LiveRequest> ready = [];
    private readonly ConcurrentQueue<Task> changes = [];
    private readonly SchedulerMetrics metrics;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private GenerationStream? blocked;
    private volatile bool isStopping;
    private volatile int running;
    private long steps;
    private long tokens;
    private long blocks;
    private long guesses;
    private long rightGuesses;
    private long promptTokens;

    public DecodeScheduler(ILanguageModel model, SchedulerOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRunning, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRemote, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWaiting, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Workers, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaxDraft, nameof(options));
        this.model = model;
        Options = options;
        local = new(options.MaxRunning, options.MaxWaiting, bell);
        remote = new(options.MaxRemote, options.MaxWaiting, bell);
        step = new(model, options);
        metrics = new(this);
        new Thread(Loop) { Name = "decode", IsBackground = true }.Start();
    }

    public SchedulerOptions Options { get; }

    public SchedulerStatistics Statistics =>
        new(running, local.Line.Count + remote.Line.Count, Interlocked.Read(ref steps), Interlocked.Read(ref tokens), Interlocked.Read(ref promptTokens))
        {
            Drafts = new(Interlocked.Read(ref blocks), Interlocked.Read(ref tokens), Interlocked.Read(ref guesses), Interlocked.Read(ref rightGuesses)),
        };

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue; Stopping after <see cref="DisposeAsync"/>.</exception>
    public GenerationStream Submit(GenerationRequest request)
    {
        request.Check(model);
        GenerationStream generation = new(request, request.Prompt.IsRemote ? remote : local);
        generation.AdmissionQueue.Line.Add(generation);
        return generation;
    }

    /// <summary>Changes the model between two steps, on the thread that runs it. Thread-safe; the change must be quick, since everybody waits for it.</summary>
    /// <returns>Completes when it is done, and fails as it does; or with <see cref="EngineError.Stopping"/>.</returns>
    public Task ChangeAsync(Action change)
    {
        Task task = new(() =>
        {
            if (isStopping)
            {
                throw WaitingQueue.Stopping();
            }

            change();
        });
        changes.Enqueue(task);
        bell.Ring();
        if (ended.Task.IsCompleted)
        {
            Change();
        }

        return task;
    }

    /// <summary>Stops after the current step; unfinished answers end with <see cref="EngineError.Stopping"/>.</summary>
    public ValueTask DisposeAsync()
    {
        isStopping = true;
        Close();
        metrics.Dispose();
        return new(ended.Task);
    }

    private void Loop()
    {
        while (!isStopping)
        {
            Retire();
            Change();
            if (Admit(local))
            {
                Admit(remote);
            }

            (int promptBudget, bool hasRun) = PrefillStep.Run(live, Options.PromptTokensPerStep, ready);
            if (ready.Count > 0)
            {
                Count(step.Run(ready, promptBudget));
            }
            else if (!hasRun)
            {
                bell.Wait();
            }
        }

        Close();
        live.ForEach(request => request.Fail(WaitingQueue.Stopping()));
        Retire();
        ended.SetResult();
        Change();
    }

    private void Change()
    {
        while (changes.TryDequeue(out Task? change))
        {
            change.RunSynchronously();
        }
    }

    /// <returns>Whether there was room for those who came; who needs much would else wait for ever while others take what becomes free.</returns>
    private bool Admit(AdmissionQueue lane)
    {
        while (lane.HasPlace && lane.Line.Take() is { } next)
        {
            if (next.IsCancelled)
            {
                continue;
            }

            if (next == blocked)
            {
                lane.Line.PutBack(next);
                return false;
            }

            try
            {
                live.Add(new(next, model, model.Start(next.Request.Start), bell, step.StartRecord()));
                lane.Running++;
                Interlocked.Add(ref promptTokens, next.Request.Prompt.TokenCount);
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull && live.Count > 0)
            {
                // A member has no row or no memory left; there is no use in trying again before a running request has freed some.
                blocked = next;
                lane.Line.PutBack(next);
                return false;
            }
            catch (Exception e)
            {
                next.Fail(ModelFailure.Of(model, e));
            }
        }

        running = live.Count;
        return true;
    }

    private void Count(StepCount count)
    {
        Interlocked.Add(ref tokens, count.Tokens);
        Interlocked.Add(ref blocks, count.Blocks);
        Interlocked.Add(ref guesses, count.Guesses);
        Interlocked.Add(ref rightGuesses, count.RightGuesses);
        Interlocked.Increment(ref steps);
    }

    private void Retire()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].IsOver)
            {
                live[i].AdmissionQueue.Running--;
                live[i].Dispose();
                live.RemoveAt(i);
                blocked = null;
            }
        }

        running = live.Count;
    }

    private void Close()
    {
        local.Line.Close();
        remote.Line.Close();
    }
}
