using ProxyTune.Decoding.Metrics;
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
    private readonly Bell bell = new();
    private readonly Lane local;
    private readonly Lane remote;
    private readonly DecodingStep step;
    private readonly List<LiveRequest> live = [];
    private readonly List<LiveRequest> ready = [];
    private readonly SchedulerMetrics metrics;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool isStopping;
    private volatile int running;
    private long steps;
    private long tokens;
    private long promptTokens;

    public DecodeScheduler(ILanguageModel model, SchedulerOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRunning, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRemote, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWaiting, 1, nameof(options));
        this.model = model;
        Options = options;
        local = new(options.MaxRunning, options.MaxWaiting, bell);
        remote = new(options.MaxRemote, options.MaxWaiting, bell);
        step = new(model);
        metrics = new(this);
        new Thread(Loop) { Name = "decode", IsBackground = true }.Start();
    }

    public SchedulerOptions Options { get; }

    public SchedulerStatistics Statistics =>
        new(running, local.Line.Count + remote.Line.Count, Interlocked.Read(ref steps), Interlocked.Read(ref tokens), Interlocked.Read(ref promptTokens));

    /// <summary>Queues a request. Thread-safe.</summary>
    /// <exception cref="EngineException">QueueFull, PromptTooLong, InvalidValue; Stopping after <see cref="DisposeAsync"/>.</exception>
    public Generation Submit(GenerationRequest request)
    {
        request.Check(model);
        Generation generation = new(request, request.Prompt.IsRemote ? remote : local);
        generation.Lane.Line.Add(generation);
        return generation;
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
            int promptBudget = Admit(local);
            Admit(remote);
            ready.Clear();
            ready.AddRange(live.Where(request => request.IsReady));
            if (ready.Count == 0)
            {
                bell.Wait();
                continue;
            }

            Interlocked.Add(ref tokens, step.Run(ready, promptBudget));
            Interlocked.Increment(ref steps);
        }

        Close();
        live.ForEach(request => request.Fail(WaitingLine.Stopping()));
        Retire();
        ended.SetResult();
    }

    /// <returns>What newcomers left of the prompt tokens of this step.</returns>
    private int Admit(Lane lane)
    {
        int budget = Options.PromptTokensPerStep;
        while (lane.HasPlace && budget > 0 && lane.Line.Take() is { } next)
        {
            if (next.IsCancelled)
            {
                continue;
            }

            try
            {
                Prompt start = next.Request.Start;
                live.Add(new(next, model.Start(start), bell));
                lane.Running++;
                budget -= start.TokenCount;
                Interlocked.Add(ref promptTokens, next.Request.Prompt.TokenCount);
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull && live.Count > 0)
            {
                // A member has no row left; a running request will free one.
                lane.Line.PutBack(next);
                break;
            }
            catch (Exception e)
            {
                next.Fail(ModelFailure.Of(model, e));
            }
        }

        running = live.Count;
        return budget;
    }

    private void Retire()
    {
        for (int i = live.Count - 1; i >= 0; i--)
        {
            if (live[i].IsOver)
            {
                live[i].Lane.Running--;
                live[i].Dispose();
                live.RemoveAt(i);
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
