using System.Diagnostics;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Bench;

/// <summary>Compares the throughput of several requests at once with that of one at a time, prompts included.</summary>
internal static class Throughput
{
    public const int Streams = 8;
    public const int PromptTokens = 32;

    public static readonly string[] Header = ["requests at once", "1, tokens/s", $"{Streams}, tokens/s", "ratio"];

    public static async Task<string[][]> MeasureAsync(Family family, Settings settings)
    {
        using ModelHost catalog = family.Load();
        await using DecodeScheduler scheduler = new(catalog.Ensemble, new SchedulerOptions());
        using BareMembers one = new(family, 1, PromptTokens + settings.Tokens), many = new(family, Streams, PromptTokens + settings.Tokens);
        int[] tokens = family.Tokens(PromptTokens, 1);

        Samples[] rates = await Samples.InterleaveAsync(
            settings.Rounds,
            () => Task.FromResult(1 / one.Decode(tokens, settings.Tokens - 1)),
            () => Task.FromResult(Streams / many.Decode(tokens, settings.Tokens - 1)),
            () => RunAsync(1),
            () => RunAsync(Streams));
        return
        [
            Row("bare forward passes without prompts, the upper limit of batching", rates[0], rates[1]),
            Row("fused, through the scheduler", rates[2], rates[3]),
        ];

        async Task<double> RunAsync(int streams)
        {
            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, streams).Select(i => DrainAsync(scheduler.Submit(new GenerationRequest
            {
                Prompt = family.Prompt(catalog, PromptTokens, i),
                Sampling = new SamplingOptions { Temperature = 0.8f, TopP = 0.95f, Seed = (ulong)i },
                MaxTokens = settings.Tokens,
                IgnoreEndOfText = true,
            }))));
            return streams * settings.Tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }

    public static string[] Row(string name, Samples one, Samples many) => [name, one.Show("0"), many.Show("0"), many.Over(one).Show("0.00")];

    /// <summary>Reads an answer to its end.</summary>
    public static async Task DrainAsync(GenerationStream generation)
    {
        await foreach (GeneratedToken _ in generation.Tokens.ReadAllAsync())
        {
        }
    }
}
