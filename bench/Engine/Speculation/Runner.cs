using System.Diagnostics;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Bench.Speculation;

/// <summary>Answers questions with its own scheduler.</summary>
/// <param name="isPlain">Asks the base alone. Its answers do not end at an end token, so that they can have the lengths of the fused answers.</param>
internal sealed class Runner(WidenedFamily family, float temperature, SchedulerOptions options, bool isPlain = false) : IAsyncDisposable
{
    private const int MaxTokens = 64;

    private readonly DecodeScheduler scheduler = new(family.Catalog.Ensemble, options);
    private readonly OnnxLanguageModel large = family.Model(WidenedFamily.Plain, StreamRole.Base);
    private readonly OnnxLanguageModel antiExpert = family.Model("town-qa", StreamRole.AntiExpert);
    private readonly OnnxLanguageModel[] experts = [.. Question.Spread(1).Select(question => family.Model(question.Served, StreamRole.Expert))];

    public DraftStatistics Drafts => scheduler.Statistics.Drafts;

    /// <summary>Time per token of the last measurement, by part.</summary>
    public StepTimes Times { get; private set; }

    /// <summary>
    /// Answers all questions. The prompts are in the prefix cache from the call before, except the tokens after the last whole block, at most
    /// 16.
    /// </summary>
    /// <param name="streams">Number of requests at once.</param>
    /// <param name="lengths">Length of each answer in tokens; null lets each answer end at an end token.</param>
    public async Task<Rates> RateAsync(Question[] questions, int streams, int[]? lengths = null)
    {
        (TimeSpan Base, TimeSpan Experts, TimeSpan AntiExpert) before = RunTimes();
        int next = -1, tokens = 0;
        long decoding = 0, start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var i && i < questions.Length)
            {
                (int[] ids, long after) = await AnswerAsync(questions[i], lengths?[i]);
                Interlocked.Add(ref tokens, ids.Length);
                Interlocked.Add(ref decoding, after);
            }
        }));
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        await IdleAsync();
        (TimeSpan Base, TimeSpan Experts, TimeSpan AntiExpert) after = RunTimes();
        Times = StepTimes.Of(elapsed / tokens, (after.Base - before.Base) / tokens, (after.Experts - before.Experts) / tokens, (after.AntiExpert - before.AntiExpert) / tokens);
        return new(tokens / elapsed.TotalSeconds, (tokens - questions.Length) / Stopwatch.GetElapsedTime(0, decoding).TotalSeconds);
    }

    public async Task<int[][]> AnswersAsync(Question[] questions)
    {
        List<int[]> answers = [];
        foreach (Question question in questions)
        {
            answers.Add((await AnswerAsync(question, null)).Ids);
        }

        await IdleAsync();
        return [.. answers];
    }

    public Prompt Prompt(Question question) =>
        family.Catalog.Get(isPlain ? WidenedFamily.Plain : question.Served).Plan(AskedFusion.Nothing).Render(question.Messages) with { Tenant = "bench" };

    public ValueTask DisposeAsync() => scheduler.DisposeAsync();

    /// <returns>The answer, and the time between its first and its last token in ticks of the stopwatch.</returns>
    private async Task<(int[] Ids, long Decoding)> AnswerAsync(Question question, int? length)
    {
        using GenerationStream generation = scheduler.Submit(new GenerationRequest
        {
            Prompt = Prompt(question),
            Sampling = new SamplingOptions { Temperature = temperature, Seed = question.Seed },
            MaxTokens = length ?? MaxTokens,
            IgnoreEndOfText = isPlain,
        });
        List<int> ids = [];
        long first = 0;
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            first = ids.Count == 0 ? Stopwatch.GetTimestamp() : first;
            ids.Add(token.Id);
        }

        return ([.. ids], Stopwatch.GetTimestamp() - first);
    }

    // A sequence is disposed after its last token was read. The next scheduler uses the same models and must find no sequence in them.
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
