using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Continuous batching: one loop on one thread; requests join and leave between steps.</summary>
/// <remarks>The model stays the caller's; dispose the scheduler first.</remarks>
public sealed class DecodeScheduler : IAsyncDisposable
{
    private readonly ILanguageModel model;
    private readonly WaitingLine line;
    private readonly DecodingStep step;
    private readonly List<LiveRequest> live = [];
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool isStopping;
    private volatile int running;
    private long steps;
    private long tokens;
    private long promptTokens;

    public DecodeScheduler(ILanguageModel model, SchedulerOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRunning, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWaiting, 1, nameof(options));
        this.model = model;
        Options = options;
        line = new(options.MaxWaiting);
        step = new(model);
        new Thread(Loop) { Name = "decode", IsBackground = true }.Start();
    }

    public SchedulerOptions Options { get; }

    public SchedulerStatistics Statistics =>
        new(running, line.Count, Interlocked.Read(ref steps), Interlocked.Read(ref tokens), Interlocked.Read(ref promptTokens));

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue; Stopping after <see cref="DisposeAsync"/>.</exception>
    public Generation Submit(GenerationRequest request)
    {
        request.Check(model);
        Generation generation = new(request, line);
        line.Add(generation);
        return generation;
    }

    /// <summary>Stops after the current step; unfinished answers end with <see cref="EngineError.Stopping"/>.</summary>
    public ValueTask DisposeAsync()
    {
        isStopping = true;
        line.Close();
        return new(ended.Task);
    }

    private void Loop()
    {
        while (live.Count > 0 ? !isStopping : line.WaitForAny())
        {
            Retire();
            Admit();
            if (live.Count > 0)
            {
                step.Run(live);
                Interlocked.Increment(ref steps);
                Interlocked.Add(ref tokens, live.Count);
            }

            Retire();
        }

        line.Close();
        live.ForEach(request => request.Fail(WaitingLine.Stopping()));
        Retire();
        ended.SetResult();
    }

    private void Admit()
    {
        for (int budget = Options.PromptTokensPerStep; live.Count < Options.MaxRunning && budget > 0 && line.Take() is { } next;)
        {
            if (next.IsCancelled)
            {
                continue;
            }

            try
            {
                live.Add(new(next, model.Start(next.Request.Prompt)));
                budget -= next.Request.Prompt.TokenCount;
                Interlocked.Add(ref promptTokens, next.Request.Prompt.TokenCount);
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull && live.Count > 0)
            {
                // A member has no row left; a running request will free one.
                line.PutBack(next);
                break;
            }
            catch (Exception e)
            {
                next.Fail(ModelFailure.Of(model, e));
            }
        }

        running = live.Count;
    }

    private void Retire()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].IsOver)
            {
                live[i].Dispose();
                live.RemoveAt(i);
            }
        }

        running = live.Count;
    }
}
