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
    /// Prompt tokens (of the base) that join in one step, so that newcomers do not stall running answers for long; one request always
    /// joins, however long. Prompts that are scored share this bound and run over several steps. Default 1,024.
    /// </summary>
    public int PromptTokensPerStep { get; init; } = 1024;
}
