using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Generation;

/// <summary>A scheduler's <see cref="SchedulerStatistics"/>, read when somebody asks.</summary>
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
