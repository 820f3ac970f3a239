using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Generation;

/// <summary>Counts for metrics and tests.</summary>
/// <param name="Running">Requests that hold a sequence.</param>
/// <param name="Waiting">Requests that wait for a place.</param>
/// <param name="Steps">Steps since the start; each runs every model that is needed once.</param>
/// <param name="Tokens">Tokens drawn since the start.</param>
/// <param name="PromptTokens">Tokens of the prompts (of the base) that were taken up since the start, known beginnings among them.</param>
public readonly record struct SchedulerStatistics(int Running, int Waiting, long Steps, long Tokens, long PromptTokens)
{
    public DraftStatistics Drafts { get; init; }
}

/// <summary>What speculation brought since the start.</summary>
/// <param name="Blocks">
/// Times that a sequence took part in a step that drew tokens of it: one pass of its base, over one position or a block of guesses.
/// </param>
/// <param name="Tokens">Tokens that these drew.</param>
/// <param name="Guesses">Tokens that an expert guessed and the base scored.</param>
/// <param name="RightGuesses">Of these, those that were drawn.</param>
public readonly record struct DraftStatistics(long Blocks, long Tokens, long Guesses, long RightGuesses)
{
    /// <summary>From 0 to 1; guesses behind a wrong one count as wrong. NaN before the first.</summary>
    public double Acceptance => (double)RightGuesses / Guesses;

    /// <summary>From 1, at most 1 and the guesses of a draft. NaN before the first.</summary>
    public double TokensPerPass => (double)Tokens / Blocks;
}

/// <summary>A scheduler's <see cref="SchedulerStatistics"/>, read when a listener asks.</summary>
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
        meter.CreateObservableCounter("proxytune.blocks", () => scheduler.Statistics.Drafts.Blocks, description: "Passes of a base over positions of one answer; tokens / blocks is what speculation brings.");
        meter.CreateObservableCounter("proxytune.guesses", () => scheduler.Statistics.Drafts.Guesses, description: "Tokens that an expert guessed and the base scored.");
        meter.CreateObservableCounter("proxytune.right_guesses", () => scheduler.Statistics.Drafts.RightGuesses, description: "Of these, those that were drawn.");
    }

    public void Dispose() => meter.Dispose();
}
