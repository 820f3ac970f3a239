using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Continuous batching: one loop on one thread; requests join and leave between steps.</summary>
/// <remarks>
/// The model stays the caller's; dispose the scheduler first. A step runs the requests that are ready. A request with a remote member that
/// has not answered yet joins a later step, so that no other request waits for it.
/// </remarks>
public sealed class DecodeScheduler : IAsyncDisposable
{
    private readonly ILanguageModel model;
    private readonly WakeEvent wake = new();
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
        local = new(options.MaxRunning, options.MaxWaiting, wake);
        remote = new(options.MaxRemote, options.MaxWaiting, wake);
        step = new(model, options);
        metrics = new(this);
        new Thread(Loop) { Name = "decode", IsBackground = true }.Start();
    }

    public SchedulerOptions Options { get; }

    public SchedulerStatistics Statistics =>
        new(running, local.Waiting.Count + remote.Waiting.Count, Interlocked.Read(ref steps), Interlocked.Read(ref tokens), Interlocked.Read(ref promptTokens))
        {
            Drafts = new(Interlocked.Read(ref blocks), Interlocked.Read(ref tokens), Interlocked.Read(ref guesses), Interlocked.Read(ref rightGuesses)),
        };

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue; Stopping after <see cref="DisposeAsync"/>.</exception>
    public GenerationStream Submit(GenerationRequest request)
    {
        request.Check(model);
        GenerationStream generation = new(request, request.Prompt.IsRemote ? remote : local);
        generation.AdmissionQueue.Waiting.Add(generation);
        return generation;
    }

    /// <summary>Changes the model between two steps, on the thread that runs it. Thread-safe; the change must be quick, since all requests wait for it.</summary>
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
        wake.Set();
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
                wake.Wait();
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

    /// <returns>Whether there was room for all that waited. A request that needs much memory is not overtaken, or it might wait for ever.</returns>
    private bool Admit(AdmissionQueue queue)
    {
        while (queue.HasPlace && queue.Waiting.Take() is { } next)
        {
            if (next.IsCancelled)
            {
                continue;
            }

            if (next == blocked)
            {
                queue.Waiting.PutBack(next);
                return false;
            }

            try
            {
                live.Add(new(next, model, model.Start(next.Request.Start), wake, step.StartRecord()));
                queue.Running++;
                Interlocked.Add(ref promptTokens, next.Request.Prompt.TokenCount);
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull && live.Count > 0)
            {
                // A member has no row or no memory left; there is no use in trying again before a running request has freed some.
                blocked = next;
                queue.Waiting.PutBack(next);
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
        local.Waiting.Close();
        remote.Waiting.Close();
    }
}

/// <summary>Limits of the decode loop.</summary>
public sealed record SchedulerOptions
{
    /// <summary>Sequences that run at the same time. Default 16.</summary>
    public int MaxRunning { get; init; } = 16;

    /// <summary>
    /// Sequences with a member behind a network that run besides those, in places of their own. Below the number of sequences that a model
    /// can hold, so that they never hold all. Default 8.
    /// </summary>
    public int MaxRemote { get; init; } = 8;

    /// <summary>Requests of either kind that may wait for a place; one more is refused with <see cref="EngineError.QueueFull"/>. Default 256.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>
    /// Prompt tokens (of the longest stream of each request) that are computed between one token of a running answer and the next, so that
    /// new requests do not stall it for long: longer prompts, and those that are scored, run in pieces over several steps. Default 256.
    /// </summary>
    public int PromptTokensPerStep { get; init; } = 256;

    /// <summary>
    /// Most tokens that an expert may guess ahead of the base in one step; what is guessed is decided by what it has brought so far. 0 turns
    /// speculation off, which changes no text. Default 8.
    /// </summary>
    public int MaxDraft { get; init; } = 8;

    /// <summary>
    /// Threads that fuse and sample the rows of a step, the decode loop's own among them; at least 1. The number changes no text. Default: the
    /// number of processors.
    /// </summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>A step with fewer logits than this stays on the decode loop's thread: waking another one takes as long as fusing and drawing from about so many.</summary>
    internal long SharedLogits { get; init; } = 1 << 17;

    /// <summary>Guess as much as that in every step, pay or not: for tests and measurements.</summary>
    internal bool AlwaysDraft { get; init; }

    /// <summary>Times drafts and passes.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;
}
