using System.Diagnostics;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Checks over real graphs that requests free everything, however they end.</summary>
[Collection(Name)]
public sealed class RandomCancelsTests
{
    private const string Name = "random cancels";
    private const int Requests = 10_000, AtOnce = 24, Warm = 1_000;
    private const long MaxGrowth = 24 << 20;

    [Fact]
    public async Task Submit_TenThousandShortRequestsWithRandomCancels_FreeSequencesAndMemory()
    {
        using TinyModel largeFolder = TinyModel.Create(new() { Context = 128, Seed = 1 }), smallFolder = TinyModel.Create(new() { Context = 128, Seed = 2 });
        using KeyValueMemory memory = new(1 << 20);
        OnnxLanguageModel large = OnnxLanguageModel.Load(largeFolder.Folder, new(), memory: memory), small = OnnxLanguageModel.Load(smallFolder.Folder, new(), memory: memory);
        using FusedModel fused = new("both", [large, small]);
        await using DecodeScheduler scheduler = new(fused, new() { MaxRunning = 12, PromptTokensPerStep = 16 });

        int[] outcomes = await Storm(0, Warm);
        long before = await AtRest();
        outcomes = [.. outcomes, .. await Storm(Warm, Requests)];
        long growth = await AtRest() - before;

        Assert.All([Outcome.Finished, Outcome.CancelledInPrompt, Outcome.CancelledInAnswer], outcome => Assert.True(outcomes.Count(o => o == (int)outcome) > Requests / 20, $"Too few requests ended as {outcome}."));
        Assert.True(growth < MaxGrowth, $"The process grew by {growth} bytes.");
        Assert.True(memory.Statistics is { Hits: > 0, Evictions: > 0 });

        async Task<long> AtRest()
        {
            while (scheduler.Statistics is not { Running: 0, Waiting: 0 })
            {
                await Task.Delay(1);
            }

            Assert.Equal((0, 0), (large.LiveSequences, small.LiveSequences));
            Assert.Equal((0L, 0L), (memory.Statistics.Reserved, memory.Statistics.Live));
            Assert.InRange(memory.Statistics.Cached, 1, memory.Limit);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            using Process process = Process.GetCurrentProcess();
            return process.WorkingSet64;
        }

        async Task<int[]> Storm(int first, int end)
        {
            int[] outcomes = new int[end - first];
            await Parallel.ForAsync(first, end, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (i, _) => outcomes[i - first] = (int)await Request(i));
            return outcomes;
        }

        async Task<Outcome> Request(int i)
        {
            Random random = new(i);
            int[] prompt = Rows(random, random.Next(1, random.Next(2) == 0 ? 100 : 12));
            float weight = random.Next(3) / 2f;
            FusionPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.Expert, weight)]);
            GenerationRequest request = new()
            {
                Prompt = new(plan, [prompt, prompt.AsMemory(..^(prompt.Length / 3))]) { Tenant = random.Next(4) == 0 ? null : $"{random.Next(3)}" },
                Sampling = new() { Seed = (ulong)i },
                MaxTokens = random.Next(1, 6),
            };
            using GenerationStream generation = scheduler.Submit(request);
            int patience = random.Next(2) == 0 ? random.Next(4) : int.MaxValue;
            if (patience == 0)
            {
                await Task.Delay(random.Next(2));
                return Outcome.CancelledInPrompt;
            }

            await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
            {
                if (token.Finish is not null)
                {
                    return Outcome.Finished;
                }

                if (--patience == 0)
                {
                    return Outcome.CancelledInAnswer;
                }
            }

            return Outcome.Lost;
        }
    }

    // Some prompts have a common prefix.
    private static int[] Rows(Random random, int length)
    {
        int[] tokens = Models.Rows.Random(random.Next(20), length, 200);
        int own = random.Next(length);
        Models.Rows.Random(random.Next(), length - own, 200).CopyTo(tokens, own);
        return tokens;
    }

    /// <summary>Runs alone because it measures the memory of the process.</summary>
    [CollectionDefinition(Name, DisableParallelization = true)]
    public sealed class Alone;

    private enum Outcome
    {
        Lost,
        Finished,
        CancelledInPrompt,
        CancelledInAnswer,
    }
}
