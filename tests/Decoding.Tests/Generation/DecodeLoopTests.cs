using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Each base has its own loop; loops share experts.</summary>
public sealed class DecodeLoopTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Submit_OtherBaseIsInALongStep_DoesNotWaitForIt()
    {
        FakeLanguageModel slow = new("slow"), fast = new("fast");
        using FusedModel fused = new("town", [slow, fast]);
        await using DecodeScheduler scheduler = new(fused, new());
        using ManualResetEventSlim open = new();
        slow.OnForward = _ => open.Wait(Patience);
        Task<List<GeneratedToken>> waiting = Answers.Collect(scheduler, Answers.Greedy(slow, [1], 3));
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Answers.Greedy(fast, [1], 20)).WaitAsync(Patience);
        Assert.Equal(Answers.GreedyOracle(fast, [1], 20), tokens.Select(token => token.Id));
        Assert.False(waiting.IsCompleted);
        open.Set();
        Assert.Equal(3, (await waiting).Count);
    }

    /// <param name="tokens">The memory for keys and values, in tokens of all models: ample, or so tight that loops wait for it and evict each other's prefixes.</param>
    [Theory]
    [InlineData(100_000)]
    [InlineData(700)]
    public async Task Submit_TwoBasesShareExperts_EachTextEqualsTheOneAlone(int tokens)
    {
        using TinyModel firstFolder = TinyModel.Create(new() { Hidden = 48, Layers = 3, Seed = 2 }), secondFolder = TinyModel.Create(new() { Hidden = 48, Seed = 5 });
        using TinyModel tunedFolder = TinyModel.Create(new() { Seed = 3 }), smallFolder = TinyModel.Create(new() { Seed = 4 });
        using KeyValueMemory memory = new(tokens * 2L * 4 * 4 * 8 * 4);
        OnnxLanguageModel[] models = [.. new[] { firstFolder, secondFolder, tunedFolder, smallFolder }.Select(folder => OnnxLanguageModel.Load(folder.Folder, new(), memory: memory))];
        using FusedModel fused = new("town", models);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 24).Select(i => Request(models[i % 2], models[2], models[3], i))];
        List<int[]> alone = [];
        await using (DecodeScheduler scheduler = new(fused, new()))
        {
            foreach (GenerationRequest request in requests)
            {
                alone.Add(await IdsAsync(scheduler, request));
            }
        }

        await using (DecodeScheduler scheduler = new(fused, new() { MaxRunning = 5 }))
        {
            for (int round = 0; round < 4; round++)
            {
                Assert.Equal(alone, await Task.WhenAll(requests.Select(request => Task.Run(() => IdsAsync(scheduler, request)))));
            }
        }

        Assert.All(models, model => Assert.Equal(0, model.LiveSequences));
        Assert.Equal((0, 0), (memory.Statistics.Reserved, memory.Statistics.Live));
        Assert.InRange(memory.Statistics.Cached, 1, memory.Limit);
        Assert.Equal(tokens < 1000, memory.Statistics.Evictions > 0);

        static async Task<int[]> IdsAsync(DecodeScheduler scheduler, GenerationRequest request) =>
            [.. (await Answers.Collect(scheduler, request)).Select(token => token.Id)];
    }

    [Fact]
    public void Forward_OtherPartRunsTheSharedExpertMeanwhile_KeepsTheRows()
    {
        using TinyModel folder = TinyModel.Create(new() { Seed = 3 });
        using OnnxLanguageModel expert = OnnxLanguageModel.Load(folder.Folder, new());
        using Sequence one = expert.Start(Prompt.For(expert, new[] { 1, 2, 3 })), other = expert.Start(Prompt.For(expert, new[] { 4, 5 }));
        RowBatch rows = expert.Forward([new(one, default)]);
        float[] before = rows.Row(0).ToArray();
        RowBatch others = expert.Forward([new(other, default)]);
        Assert.NotEqual(before, others.Row(0).ToArray());
        Assert.Equal(before, rows.Row(0).ToArray());
        others.Release();
        rows.Release();
    }

    [Fact]
    public async Task Submit_SharedExpertHasNoRow_WaitsUntilTheOtherBaseFreesOne()
    {
        FakeLanguageModel first = new("first"), second = new("second"), expert = new("expert") { MaxSequences = 1 };
        using FusedModel fused = new("town", [first, second, expert]);
        await using DecodeScheduler scheduler = new(fused, new());
        using ManualResetEventSlim open = new();
        using SemaphoreSlim entered = new(0);
        first.OnForward = _ =>
        {
            entered.Release();
            open.Wait(Patience);
        };
        Task<List<GeneratedToken>> running = Answers.Collect(scheduler, Tuned(first, expert, 5));
        Assert.True(await entered.WaitAsync(Patience));
        Task<List<GeneratedToken>> waiting = Answers.Collect(scheduler, Tuned(second, expert, 7));
        while (scheduler.Statistics.Waiting == 0)
        {
            await Task.Yield();
        }

        Assert.False(waiting.IsCompleted);
        open.Set();
        Assert.Equal(5, (await running).Count);
        Assert.Equal(7, (await waiting.WaitAsync(Patience)).Count);
    }

    [Fact]
    public async Task EndIdleLoops_BaseWasRemoved_ForgetsTheBase()
    {
        using FakeLanguageModel kept = new("kept");
        using FusedModel fused = new("town", [kept]);
        await using DecodeScheduler scheduler = new(fused, new());
        WeakReference removed = await RunAndRemoveAsync();
        Assert.Equal(3, (await Answers.Collect(scheduler, Answers.Greedy(kept, [1], 3))).Count);
        using CancellationTokenSource patience = new(Patience);
        while (removed.IsAlive)
        {
            GC.Collect();
            await Task.Delay(1, patience.Token);
        }

        Assert.Equal(3, (await Answers.Collect(scheduler, Answers.Greedy(kept, [1], 3))).Count);

        async Task<WeakReference> RunAndRemoveAsync()
        {
            FakeLanguageModel other = new("other");
            fused.Add(other);
            Assert.Equal(3, (await Answers.Collect(scheduler, Answers.Greedy(other, [1], 3))).Count);
            while (scheduler.Statistics.Running > 0)
            {
                await Task.Yield();
            }

            fused.Remove(other);
            Assert.True(other.IsDisposed);
            scheduler.EndIdleLoops();
            return new(other);
        }
    }

    [Fact]
    public async Task EndIdleLoops_RequestsKeepComing_LosesNone()
    {
        using FakeLanguageModel model = new("m");
        using FusedModel fused = new("town", [model]);
        await using DecodeScheduler scheduler = new(fused, new());
        Task<List<GeneratedToken>[]> all = Task.WhenAll(Enumerable.Range(0, 4).Select(i => Task.Run(async () =>
        {
            List<GeneratedToken> last = [];
            for (int k = 0; k < 200; k++)
            {
                last = await Answers.Collect(scheduler, Answers.Greedy(model, [i], 2));
                Assert.Equal(2, last.Count);
            }

            return last;
        })));
        while (!all.IsCompleted)
        {
            scheduler.EndIdleLoops();
            await Task.Yield();
        }

        await all.WaitAsync(Patience);
    }

    [Fact]
    public async Task Submit_OneRequestWithManyAnswersRuns_AnotherRequestDoesNotWaitForItsPlaces()
    {
        using FakeLanguageModel model = new("m", contextLength: 4000);
        await using DecodeScheduler scheduler = new(model, new() { MaxRunning = 4, MaxWaiting = 100 });
        RequestOrigin large = new("a");
        GenerationStream[] many = [.. Enumerable.Range(0, 40).Select(i => scheduler.Submit(Answers.Greedy(model, [i % 30], 3000) with { Origin = large }))];
        await many[0].Tokens.ReadAsync();
        List<GeneratedToken> small = await Answers.Collect(scheduler, Answers.Greedy(model, [7], 5)).WaitAsync(Patience);
        Assert.Equal(5, small.Count);
        Assert.False(many[0].Tokens.Completion.IsCompleted);
        Array.ForEach(many, one => one.Dispose());
    }

    private static GenerationRequest Tuned(FakeLanguageModel large, FakeLanguageModel expert, int tokens)
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(expert, StreamRole.Expert)]) { Deltas = [new("tuned", 1, null, 1)] };
        int[] prompt = [1, 2];
        return new() { Prompt = new(plan, [prompt, prompt]), Sampling = new() { Temperature = 0 }, MaxTokens = tokens };
    }

    private static GenerationRequest Request(OnnxLanguageModel large, OnnxLanguageModel tuned, OnnxLanguageModel small, int i)
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert), new(small, StreamRole.AntiExpert)]) { Deltas = [new("tuned", 1, 2, i % 3 * 0.5f)] };
        int[] own = Models.Rows.Random(i, 3 + (i * 5 % 40), 200);
        return new()
        {
            Prompt = new(plan, [own, own, own]) { Tenant = i % 2 == 0 ? "tenant" : null },
            Sampling = new() { Temperature = i % 2, Seed = (ulong)i },
            MaxTokens = 10 + i,
            IgnoreEndOfText = true,
        };
    }
}
