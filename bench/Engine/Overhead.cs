using System.Diagnostics;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Measures the cost of a fused token beyond the forward passes of its models, for one stream after the prompt.</summary>
internal static class Overhead
{
    private const int PromptTokens = 32;

    public static async Task MeasureAsync(Family family, Report report, Settings settings)
    {
        using ModelHost catalog = family.Load(), forwardOnly = family.Load();
        await using DecodeScheduler scheduler = new(catalog.Ensemble, new SchedulerOptions());
        using BareMembers bare = new(family, rows: 1, PromptTokens + settings.Tokens);
        int[] tokens = family.Tokens(PromptTokens, 1);
        Prompt prompt = family.Prompt(catalog, PromptTokens, 1), same = family.Prompt(forwardOnly, PromptTokens, 1);
        int steps = settings.Tokens - 1;
        long allocated = 0;

        Samples[] seconds = await Samples.InterleaveAsync(
            settings.Rounds,
            () => Task.FromResult(bare.Decode(tokens, steps)),
            () => Task.FromResult(Forward(forwardOnly.Ensemble, same, steps)),
            () => GenerateAsync(new SamplingOptions { Temperature = 0 }),
            () => GenerateAsync(new SamplingOptions { Temperature = 0.8f, TopP = 0.95f, Seed = 1 }));

        report.Table(
            "Engine overhead",
            ["one stream", "microseconds a token", "/ bare passes"],
            Row("bare forward passes of all members", seconds[0]),
            Row("fused forward pass: passes, masks, logits copies, weighted sum", seconds[1]),
            Row("scheduler, greedy, up to the reader of the answer", seconds[2]),
            Row("scheduler, sampled, up to the reader of the answer: temperature 0.8, top-p 0.95", seconds[3]));
        report.Line($"Allocated per token (scheduler, sampled, reader included): {allocated / steps} bytes.");
        report.Line();

        string[] Row(string name, Samples samples) =>
            [name, samples.Times(1e6).Show("0"), samples.Over(seconds[0]).Show("0.00")];

        async Task<double> GenerateAsync(SamplingOptions sampling)
        {
            using GenerationStream generation = scheduler.Submit(
                new GenerationRequest { Prompt = prompt, Sampling = sampling, MaxTokens = steps + 1, IgnoreEndOfText = true });
            await generation.Tokens.ReadAsync();
            long before = GC.GetTotalAllocatedBytes(), start = Stopwatch.GetTimestamp();
            await foreach (GeneratedToken _ in generation.Tokens.ReadAllAsync())
            {
            }

            double elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
            allocated = GC.GetTotalAllocatedBytes() - before;
            return elapsed / steps;
        }
    }

    private static double Forward(ILanguageModel model, Prompt prompt, int steps)
    {
        float[] logits = new float[model.Info.VocabularySize];
        int[] next = [prompt.Streams[0].Span[0]];
        using Sequence sequence = model.Start(prompt);
        Segment[] segment = [new(sequence, ReadOnlyMemory<int>.Empty)];
        model.Forward(segment, logits);
        segment[0] = new(sequence, next);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < steps; i++)
        {
            model.Forward(segment, logits);
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
    }
}
