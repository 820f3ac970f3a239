using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

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
    /// newcomers do not stall it for long: longer prompts, and those that are scored, run in pieces over several steps. Default 256.
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
