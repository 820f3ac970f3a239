using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Limits of the decode loop.</summary>
public sealed record SchedulerOptions
{
    /// <summary>Sequences that run at the same time. Default 16.</summary>
    public int MaxRunning { get; init; } = 16;

    /// <summary>Requests that may wait for a place; one more is refused with <see cref="EngineError.QueueFull"/>. Default 256.</summary>
    public int MaxWaiting { get; init; } = 256;
}

/// <summary>Counts for metrics and tests.</summary>
public readonly record struct SchedulerStatistics(int Running, int Waiting, long Steps, long Tokens);

/// <summary>Continuous batching: one loop on one thread; requests join and leave between steps.</summary>
public sealed class DecodeScheduler(ILanguageModel model, SchedulerOptions options) : IAsyncDisposable
{
    public SchedulerStatistics Statistics => throw new NotImplementedException();

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue.</exception>
    public Generation Submit(GenerationRequest request) => throw new NotImplementedException($"{model} {options} {request}");

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
