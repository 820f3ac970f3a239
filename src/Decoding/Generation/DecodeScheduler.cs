using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Continuous batching: a loop for each base, on a thread of its own, whose requests join and leave between steps.</summary>
/// <remarks>
/// The caller owns the model and must dispose the scheduler first. Bases do not wait for each other, except for a member that both use, during
/// its pass. A loop starts with the first request of its base.
/// </remarks>
public sealed class DecodeScheduler : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly ILanguageModel model;
    private readonly LoopTotals totals = new();
    private readonly SchedulerMetrics metrics;
    private volatile Dictionary<ILanguageModel, DecodeLoop> loops = new(ReferenceEqualityComparer.Instance);
    private bool isStopping;

    public DecodeScheduler(ILanguageModel model, SchedulerOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRunning, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRemote, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWaiting, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Workers, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaxDraft, nameof(options));
        this.model = model;
        Options = options;
        totals.RoomFreed += WakeAll;
        metrics = new(this);
    }

    public SchedulerOptions Options { get; }

    public SchedulerStatistics Statistics => totals.Statistics(loops.Values.Sum(loop => loop.Waiting));

    /// <summary>What the last step of a loop threw, if a loop is broken; else null.</summary>
    public Exception? Failure => loops.Values.Select(loop => loop.Failure).FirstOrDefault(failure => failure is not null);

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue; Stopping after <see cref="DisposeAsync"/>.</exception>
    public GenerationStream Submit(GenerationRequest request)
    {
        request.Check(model);
        ILanguageModel part = model.Part(request.Prompt);
        lock (gate)
        {
            if (isStopping)
            {
                throw AdmissionQueue.Stopping();
            }

            if (!loops.TryGetValue(part, out DecodeLoop? loop))
            {
                loop = new(part, Options, totals, TryEnd);
                loops = new(loops, ReferenceEqualityComparer.Instance) { [part] = loop };
            }

            return loop.Submit(request);
        }
    }

    /// <summary>Ends the loops that have no requests, and the others when they have none. Called when a base is not served any more.</summary>
    public void EndIdleLoops()
    {
        foreach (DecodeLoop loop in loops.Values)
        {
            loop.EndWhenIdle();
        }
    }

    /// <summary>Stops after the current steps; unfinished answers end with <see cref="EngineError.Stopping"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            isStopping = true;
        }

        await Task.WhenAll(loops.Values.Select(loop => loop.StopAsync()));
        metrics.Dispose();
    }

    /// <returns>Whether the loop still has no requests. It has then left the scheduler.</returns>
    private bool TryEnd(DecodeLoop loop)
    {
        lock (gate)
        {
            if (isStopping || loop.Waiting > 0)
            {
                return false;
            }

            loops = new(loops.Where(other => other.Value != loop), ReferenceEqualityComparer.Instance);
            return true;
        }
    }

    private void WakeAll()
    {
        foreach (DecodeLoop loop in loops.Values)
        {
            loop.Wake();
        }
    }
}

/// <summary>Limits of a decode loop. There is one loop for each base.</summary>
public sealed record SchedulerOptions
{
    /// <summary>
    /// The largest number of sequences of one base that run at the same time. The last quarter of the places is for requests without a running sequence, so
    /// that one request with many answers does not keep the others waiting. Default 16.
    /// </summary>
    public int MaxRunning { get; init; } = 16;

    /// <summary>
    /// The largest number of additional sequences of one base with a remote member that run at the same time, in separate places. It is below the number of
    /// sequences that a model can hold, so that they never use all of them. Default 8.
    /// </summary>
    public int MaxRemote { get; init; } = 8;

    /// <summary>The largest number of waiting requests of one base, of each kind; further ones are refused with <see cref="EngineError.QueueFull"/>. Default 256.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>
    /// The number of prompt tokens (of the longest stream of each request) that are computed between two tokens of a running answer. Longer prompts, and
    /// scored prompts, run in pieces over several steps, so that new requests do not stall running answers. Prompts share the number. Default 256.
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
