using System.Diagnostics;

using ProxyTune.Decoding.Catalog;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Bench.Speculation;

/// <summary>Answers questions through a scheduler of its own.</summary>
/// <param name="isPlain">Ask the base alone, and let its answers be as long as the fused ones were.</param>
internal sealed class Runner(WidenedFamily family, float temperature, SchedulerOptions options, bool isPlain = false) : IAsyncDisposable
{
    private const int MostTokens = 64;

    private readonly DecodeScheduler scheduler = new(family.Catalog.Ensemble, options);
    private readonly OnnxLanguageModel large = family.Model(WidenedFamily.Plain, StreamRole.Base);
    private readonly OnnxLanguageModel antiExpert = family.Model("town-qa", StreamRole.AntiExpert);
    private readonly OnnxLanguageModel[] experts = [.. Question.Spread(1).Select(question => family.Model(question.Served, StreamRole.Expert))];

    public DraftStatistics Drafts => scheduler.Statistics.Drafts;

    /// <summary>Where the time of the last call went.</summary>
    public StepParts Parts { get; private set; }

    /// <summary>
    /// Answers all, that many at once. Prompts are known from the call before, as those of one tenant are, so that only their last token is
    /// computed and the time is that of decoding.
    /// </summary>
    /// <param name="lengths">Of the fused answers; null lets each end where it ends.</param>
    /// <returns>Tokens per second.</returns>
    public async Task<double> RateAsync(Question[] questions, int streams, int[]? lengths = null)
    {
        (TimeSpan Base, TimeSpan Experts, TimeSpan AntiExpert) before = RunTimes();
        int next = -1, tokens = 0;
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var i && i < questions.Length)
            {
                Interlocked.Add(ref tokens, (await AnswerAsync(questions[i], lengths?[i])).Length);
            }
        }));
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        await IdleAsync();
        (TimeSpan Base, TimeSpan Experts, TimeSpan AntiExpert) after = RunTimes();
        Parts = StepParts.Of(elapsed / tokens, (after.Base - before.Base) / tokens, (after.Experts - before.Experts) / tokens, (after.AntiExpert - before.AntiExpert) / tokens);
        return tokens / elapsed.TotalSeconds;
    }

    public async Task<int[][]> AnswersAsync(Question[] questions)
    {
        List<int[]> answers = [];
        foreach (Question question in questions)
        {
            answers.Add(await AnswerAsync(question, null));
        }

        await IdleAsync();
        return [.. answers];
    }

    public Prompt Prompt(Question question) =>
        family.Catalog.Get(isPlain ? WidenedFamily.Plain : question.Served).Plan(FusionSettings.Default).Render(question.Messages) with { Tenant = "bench" };

    public ValueTask DisposeAsync() => scheduler.DisposeAsync();

    private async Task<int[]> AnswerAsync(Question question, int? length)
    {
        using Generation generation = scheduler.Submit(new GenerationRequest
        {
            Prompt = Prompt(question),
            Sampling = new SamplingOptions { Temperature = temperature, Seed = question.Seed },
            MaxTokens = length ?? MostTokens,
            IgnoreEndOfText = isPlain,
        });
        List<int> ids = [];
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            ids.Add(token.Id);
        }

        return [.. ids];
    }

    // The models are shared by schedulers that take turns, and the last sequence is disposed after its last token is read.
    private async Task IdleAsync()
    {
        while (scheduler.Statistics.Running > 0)
        {
            await Task.Delay(1);
        }
    }

    private (TimeSpan Base, TimeSpan Experts, TimeSpan AntiExpert) RunTimes() =>
        (large.RunTime, experts.Aggregate(TimeSpan.Zero, (sum, expert) => sum + expert.RunTime), antiExpert.RunTime);
}
