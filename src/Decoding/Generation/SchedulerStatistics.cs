using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Generation;

/// <summary>Counts of a scheduler, for metrics and tests.</summary>
/// <param name="Running">The number of requests that hold a sequence.</param>
/// <param name="Waiting">The number of requests that wait for a place.</param>
/// <param name="Steps">The number of steps since the start. A step runs every needed model once.</param>
/// <param name="Tokens">The number of tokens drawn since the start.</param>
/// <param name="PromptTokens">The number of tokens of the base's prompts since the start, including those from the prefix cache.</param>
public readonly record struct SchedulerStatistics(int Running, int Waiting, long Steps, long Tokens, long PromptTokens)
{
    /// <summary>The number of exceptions since the start for which no request could fail, such as of a disposal. 0 in a sound server.</summary>
    public long Faults { get; init; }

    public DraftStatistics Drafts { get; init; }
}

/// <summary>Counts of speculation since the start.</summary>
/// <param name="Blocks">
/// The number of passes of a base over the positions of one sequence. A pass covers the newest token and the draft tokens after it.
/// </param>
/// <param name="Tokens">The number of tokens drawn in these passes.</param>
/// <param name="Drafted">The number of tokens that an expert drafted and the base scored.</param>
/// <param name="Accepted">The number of draft tokens that were accepted.</param>
public readonly record struct DraftStatistics(long Blocks, long Tokens, long Drafted, long Accepted)
{
    /// <summary>The share of accepted draft tokens, from 0 to 1. Tokens after a rejected one count as rejected. NaN before the first draft.</summary>
    public double Acceptance => (double)Accepted / Drafted;

    /// <summary>The mean number of tokens per pass, from 1 to 1 plus the length of a draft. NaN before the first pass.</summary>
    public double TokensPerPass => (double)Tokens / Blocks;
}

/// <summary>Publishes a scheduler's <see cref="SchedulerStatistics"/> as metrics.</summary>
internal sealed class SchedulerMetrics : IDisposable
{
    private readonly Meter meter = new(EngineMeter.Name);

    public SchedulerMetrics(DecodeScheduler scheduler)
    {
        meter.CreateObservableUpDownCounter("proxytune.running", () => scheduler.Statistics.Running, description: "Answers that are being written.");
        meter.CreateObservableUpDownCounter("proxytune.waiting", () => scheduler.Statistics.Waiting, description: "Answers that wait for a place.");
        meter.CreateObservableCounter("proxytune.steps", () => scheduler.Statistics.Steps, description: "Steps; each runs every model that is needed once.");
        meter.CreateObservableCounter("proxytune.tokens", () => scheduler.Statistics.Tokens, description: "Tokens drawn.");
        meter.CreateObservableCounter("proxytune.prompt_tokens", () => scheduler.Statistics.PromptTokens, description: "Prompt tokens of the base.");
        meter.CreateObservableCounter("proxytune.faults", () => scheduler.Statistics.Faults, description: "Exceptions of the decode loops for which no request could fail; 0 in a sound server.");
        meter.CreateObservableCounter("proxytune.blocks", () => scheduler.Statistics.Drafts.Blocks, description: "Passes of a base over positions of one answer; tokens / blocks is the gain of speculation.");
        meter.CreateObservableCounter("proxytune.guesses", () => scheduler.Statistics.Drafts.Drafted, description: "Tokens that an expert drafted and the base scored.");
        meter.CreateObservableCounter("proxytune.right_guesses", () => scheduler.Statistics.Drafts.Accepted, description: "Draft tokens that were accepted.");
    }

    public void Dispose() => meter.Dispose();
}
