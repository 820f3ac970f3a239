using System.Diagnostics;
using System.Threading.Channels;
using MathNet.Numerics.Distributions;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Bench.WideRows;

/// <summary>Steps of the scheduler over models without passes: a base, an expert and an anti-expert, so that fusing and drawing is all that they cost.</summary>
internal sealed class WideSteps : IDisposable
{
    // More than streams of a step, so that rows come from memory as a model's new ones do.
    private const int RowsOfAModel = 24;

    private readonly WideModel[] members;
    private readonly FusedModel ensemble;

    public WideSteps(int width)
    {
        Random random = new(3);
        float[][] anti = [.. Enumerable.Range(0, RowsOfAModel).Select(_ => Row(random, width))];
        float[][] expert = [.. anti.Select(row => row.Zip(Normal.Samples(random, 0, 1), (s, d) => s + (float)d).ToArray())];
        members = [new("base", [.. Enumerable.Range(0, RowsOfAModel).Select(_ => Row(random, width))]), new("expert", expert), new("anti-expert", anti)];
        ensemble = new("wide", members);
    }

    /// <returns>Milliseconds a step.</returns>
    public Func<Task<double>> Timing(int streams, int steps, bool isDynamic, SamplingOptions sampling, SchedulerOptions options) => async () =>
    {
        await using DecodeScheduler scheduler = new(ensemble, options with { MaxRunning = streams, MaxDraft = 0 });
        ReadOnlyMemory<int> prompt = new[] { 1, 2, 3 };
        long start = Stopwatch.GetTimestamp();
        ChannelReader<GeneratedToken>[] answers =
        [
            .. Enumerable.Range(0, streams).Select(i => scheduler.Submit(new GenerationRequest
            {
                Prompt = new Prompt(Plan(isDynamic), [prompt, prompt, prompt]),
                Sampling = sampling with { Seed = (ulong)i },
                MaxTokens = steps,
                IgnoreEndOfText = true,
            }).Tokens),
        ];
        foreach (ChannelReader<GeneratedToken> answer in answers)
        {
            await foreach (GeneratedToken _ in answer.ReadAllAsync())
            {
            }
        }

        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / steps;
    };

    public void Dispose() => ensemble.Dispose();

    private FusionPlan Plan(bool isDynamic) =>
        new([new(members[0], StreamRole.Base, 1), new(members[1], StreamRole.Expert), new(members[2], StreamRole.AntiExpert)])
        {
            Deltas = [new("expert", 1, 2, 1)],
            Rule = isDynamic ? new DynamicFusion(new()) : null,
        };

    /// <summary>Logits as of a model that is fairly sure: normal, with a few words well above the rest.</summary>
    private static float[] Row(Random random, int width)
    {
        float[] row = [.. Normal.Samples(random, 0, 2.5).Take(width).Select(x => (float)x)];
        for (int i = 0; i < 20; i++)
        {
            row[random.Next(width)] += 8;
        }

        return row;
    }
}
