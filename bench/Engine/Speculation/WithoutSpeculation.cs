using System.Diagnostics;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Bench.Speculation;

/// <summary>Measures decoding without speculation: the cost of a fused token relative to its bare passes, and the throughput of several streams.</summary>
internal static class WithoutSpeculation
{
    private const int PromptTokens = 96;
    private const int Tokens = 64;
    private const int Streams = 16;

    /// <summary>Compares a fused token of one stream with bare passes of the base and of the small model.</summary>
    public static async Task OverheadAsync(WidenedFamily family, Report report, SpeculationSettings settings)
    {
        using BareDecoder large = new(family.Base, 1, PromptTokens + Tokens), small = new(Path.Combine(family.Folder, WidenedFamily.Small), 2, PromptTokens + Tokens);
        using BareDecoder expert = new(Path.Combine(family.Folder, "town-small-qa"), 1, PromptTokens + Tokens), antiExpert = new(Path.Combine(family.Folder, WidenedFamily.Small), 1, PromptTokens + Tokens);
        await using DecodeScheduler scheduler = new(family.Catalog.Ensemble, new() { MaxDraft = 0 });
        (string Name, Func<Task<double>> Seconds)[] all =
        [
            ("bare passes of the base and of 2 rows of the small model, in turns", () => Task.FromResult(Bare(large, small))),
            ("the same passes, each model by itself", () => Task.FromResult(Bare(large) + Bare(small))),
            ("bare passes of the base and of 1 row of two small models, in turns", () => Task.FromResult(Bare(large, expert, antiExpert))),
            ("fused, greedy, expert is a model: 2 passes of 1 row", async () => 1 / await RateAsync(scheduler, family, "town-qa", 1, 0)),
            ("fused, temperature 1, expert is a model", async () => 1 / await RateAsync(scheduler, family, "town-qa", 1, 1)),
            ("fused, greedy, expert is a patch: 2 rows of one pass", async () => 1 / await RateAsync(scheduler, family, WidenedFamily.Patched, 1, 0)),
            ("fused, temperature 1, expert is a patch", async () => 1 / await RateAsync(scheduler, family, WidenedFamily.Patched, 1, 1)),
        ];
        Samples[] seconds = await Samples.InterleaveAsync(settings.Rounds, [.. all.Select(one => one.Seconds)]);
        report.Table(
            $"One stream without speculation, contexts of {PromptTokens} to {PromptTokens + Tokens}, {family.Description}",
            ["", "microseconds a token", "/ first row", "/ third row"],
            [.. all.Zip(seconds, (one, s) => new[] { one.Name, s.Times(1e6).Show("0"), s.Over(seconds[0]).Show("0.00"), s.Over(seconds[2]).Show("0.00") })]);
    }

    /// <summary>Compares the throughput of many streams with that of one.</summary>
    public static async Task ThroughputAsync(IReadOnlyList<WidenedFamily> families, Report report, SpeculationSettings settings)
    {
        List<string[]> table = [];
        foreach (WidenedFamily family in families)
        {
            using BareDecoder one = new(family.Base, 1, PromptTokens + Tokens), many = new(family.Base, Streams, PromptTokens + Tokens);
            await using DecodeScheduler scheduler = new(family.Catalog.Ensemble, new() { MaxDraft = 0 });
            Samples[] rates = await Samples.InterleaveAsync(
                settings.Rounds,
                () => Task.FromResult(1 / Bare(one)),
                () => Task.FromResult(Streams / Bare(many)),
                () => RateAsync(scheduler, family, WidenedFamily.Plain, 1, 1),
                () => RateAsync(scheduler, family, WidenedFamily.Plain, Streams, 1),
                () => RateAsync(scheduler, family, "town-qa", 1, 1),
                () => RateAsync(scheduler, family, "town-qa", Streams, 1));
            string[] names = ["bare passes of the base", "base alone", "fused"];
            table.AddRange(names.Select((name, i) => Throughput.Row($"{family.Description}: {name}", rates[2 * i], rates[2 * i + 1])));
        }

        report.Table(
            $"{Streams} streams without speculation, contexts of {PromptTokens} to {PromptTokens + Tokens}, temperature 1",
            ["", "1 stream, tokens/s", $"{Streams} streams, tokens/s", "ratio"],
            [.. table]);
    }

    /// <summary>Runs the decoders in turns, with contexts as long as those of the engine's requests.</summary>
    /// <returns>Mean time of one pass of each decoder together, in seconds.</returns>
    private static double Bare(params BareDecoder[] decoders)
    {
        foreach (BareDecoder decoder in decoders)
        {
            decoder.Restart();
            decoder.Append(TokensOf(0));
        }

        return Enumerable.Range(0, Tokens).Sum(_ => decoders.Sum(decoder => decoder.Append([1]))) / Tokens;
    }

    /// <returns>Tokens per second while all streams decode: from the latest first token to the earliest last token of the streams.</returns>
    private static async Task<double> RateAsync(DecodeScheduler scheduler, WidenedFamily family, string served, int streams, float temperature)
    {
        ServedPlan plan = family.Catalog.Get(served).Plan(AskedFusion.Nothing);
        long[][] times = await Task.WhenAll(Enumerable.Range(0, streams).Select(async i =>
        {
            List<long> own = [];
            using GenerationStream generation = scheduler.Submit(new GenerationRequest
            {
                Prompt = plan.Render(TokensOf(i)) with { Tenant = "bench" },
                Sampling = new SamplingOptions { Temperature = temperature, Seed = (ulong)i },
                MaxTokens = Tokens,
                IgnoreEndOfText = true,
            });
            await foreach (GeneratedToken _ in generation.Tokens.ReadAllAsync())
            {
                own.Add(Stopwatch.GetTimestamp());
            }

            return own.ToArray();
        }));
        long start = times.Max(static own => own[0]), end = times.Min(static own => own[^1]);
        return times.Sum(own => own.Count(time => time > start && time <= end)) / Stopwatch.GetElapsedTime(start, end).TotalSeconds;
    }

    private static int[] TokensOf(int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(10, 1000))];
    }
}
