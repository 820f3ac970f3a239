using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class StormTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Submit_ThreeHundredRequestsWithCancels_FreeAllSequences(int maxDraft)
    {
        FakeLanguageModel large = new("large", 48, 40, 3), tuned = new("tuned", 40, 40, 3), small = new("small", 40, 40, 3);
        using FusedModel fused = new("town", [large, tuned, small]);
        int batches = 0;
        large.OnForward = _ => batches++;
        tuned.OnForward = batch =>
        {
            if (batches % 50 == 49)
            {
                throw new InvalidOperationException("now and then");
            }
        };
        await using DecodeScheduler scheduler = new(fused, new() { MaxRunning = 8, MaxWaiting = 400, MaxDraft = maxDraft, AlwaysDraft = true });
        int[] outcomes = await Task.WhenAll(Enumerable.Range(0, 300).Select(i => Task.Run(() => Request(i))));

        Assert.All(Enumerable.Range(0, 3), outcome => Assert.Contains(outcome, outcomes));
        while (scheduler.Statistics is not { Running: 0, Waiting: 0 })
        {
            await Task.Delay(1);
        }

        Assert.Equal((0, 0, 0), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));
        Assert.True(large.Forwards <= scheduler.Statistics.Steps, "A step ran the base more than once.");

        // 0 finished, 1 cancelled, 2 failed.
        async Task<int> Request(int i)
        {
            Random random = new(i);
            ReadOnlyMemory<int> prompt = new int[random.Next(1, 39)];
            float weight = random.Next(3) / 2f;
            FusionPlan plan = new([new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert), new(small, StreamRole.AntiExpert)])
            {
                Deltas = [new("tuned", 1, 2, weight)],
            };
            using GenerationStream generation = scheduler.Submit(new()
            {
                Prompt = new Prompt(plan, [prompt, prompt, prompt]),
                Sampling = new() { Seed = (ulong)i },
                MaxTokens = random.Next(1, 30),
            });
            int patience = random.Next(3) == 0 ? random.Next(5) : int.MaxValue;
            try
            {
                await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
                {
                    if (token.Finish is not null)
                    {
                        return 0;
                    }

                    if (patience-- == 0)
                    {
                        return 1;
                    }
                }
            }
            catch (EngineException e) when (e.Error == EngineError.ModelFailure)
            {
                return 2;
            }

            return -1;
        }
    }
}
