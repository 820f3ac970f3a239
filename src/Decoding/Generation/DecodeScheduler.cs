using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Continuous batching: one loop on one thread; requests join and leave between steps.</summary>
/// <remarks>
/// The caller owns the model and must dispose the scheduler first. A step runs the requests that are ready. A request that waits for a remote
/// member joins a later step, so that no other request waits for it.
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
    private long drafted;
    private long accepted;
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
            Drafts = new(Interlocked.Read(ref blocks), Interlocked.Read(ref tokens), Interlocked.Read(ref drafted), Interlocked.Read(ref accepted)),
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

    /// <summary>Changes the model between two steps, on the thread that runs it. Thread-safe. The change must be fast, since all requests wait for it.</summary>
    /// <returns>A task that completes after the change. It fails with the change's exception, or with <see cref="EngineError.Stopping"/>.</returns>
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

    /// <returns>Whether there was room for all waiting requests. No request overtakes one that needs much memory, since that one could then wait forever.</returns>
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
                // A member has no free row or memory. A running request must free some before the next attempt.
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
        Interlocked.Add(ref drafted, count.Drafted);
        Interlocked.Add(ref accepted, count.Accepted);
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
    /// <summary>The largest number of sequences that run at the same time. Default 16.</summary>
    public int MaxRunning { get; init; } = 16;

    /// <summary>
    /// The largest number of additional sequences with a remote member that run at the same time, in separate places. It is below the number of
    /// sequences that a model can hold, so that they never use all of them. Default 8.
    /// </summary>
    public int MaxRemote { get; init; } = 8;

    /// <summary>The largest number of waiting requests of each kind; further ones are refused with <see cref="EngineError.QueueFull"/>. Default 256.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>
    /// The number of prompt tokens (of the longest stream of each request) that are computed between two tokens of a running answer. Longer prompts, and
    /// scored prompts, run in pieces over several steps, so that new requests do not stall running answers. Default 256.
    /// </summary>
    public int PromptTokensPerStep { get; init; } = 256;

    /// <summary>
    /// The largest number of tokens that an expert drafts in one step. The engine chooses the length of drafts from the acceptance so far. 0 turns
    /// speculation off, which does not change any text. Default 8.
    /// </summary>
    public int MaxDraft { get; init; } = 8;

    /// <summary>
    /// The number of threads that fuse and sample the rows of a step, including the decode loop's thread; at least 1. It does not change any text. The default
    /// is the number of processors.
    /// </summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>A step with fewer logits than this stays on the decode loop's thread, since waking another thread takes about as long as fusing and sampling them.</summary>
    internal long SharedLogits { get; init; } = 1 << 17;

    /// <summary>Drafts the largest number of tokens in every step, even if that is slower; for tests and measurements.</summary>
    internal bool AlwaysDraft { get; init; }

    /// <summary>The clock that measures drafts and passes.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;
}
