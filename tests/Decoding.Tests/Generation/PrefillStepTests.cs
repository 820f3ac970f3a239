using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class PrefillStepTests : IAsyncLifetime, IDisposable
{
    private readonly FakeLanguageModel model = new("m", 32, 1000) { ComputesPromptsInPieces = true };
    private readonly DecodeScheduler scheduler;

    public PrefillStepTests() => scheduler = new(model, new() { PromptTokensPerStep = 10 });

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await scheduler.DisposeAsync();

    public void Dispose() => model.Dispose();

    [Fact]
    public async Task Submit_LongPromptBesideARunningAnswer_AnswerGetsATokenBetweenPieces()
    {
        List<string> done = [];
        TaskCompletionSource started = new();
        using SemaphoreSlim both = new(0);
        model.OnForward = batch =>
        {
            done.Add($"{batch.Count} rows");
            started.TrySetResult();
            both.Wait();
        };
        model.OnPrefill = (_, positions) => done.Add($"{positions} of the prompt");
        Task<List<GeneratedToken>> running = Answers.Collect(scheduler, Answers.Greedy(model, [1, 2], 8));
        await started.Task;
        int[] prompt = [.. Enumerable.Range(0, 45).Select(i => i % 32)];
        Task<List<GeneratedToken>> starting = Answers.Collect(scheduler, Answers.Greedy(model, prompt, 2));
        both.Release(100);

        using FakeLanguageModel same = new("m", 32, 1000);
        Assert.Equal(Answers.GreedyOracle(same, prompt, 2), (await starting).Select(t => t.Id));
        Assert.Equal(8, (await running).Count);
        string[] pieces = [.. Enumerable.Repeat(new[] { "10 of the prompt", "1 rows" }, 4).SelectMany(p => p)];
        Assert.Equal(["1 rows", .. pieces, "2 rows", "2 rows", "1 rows"], done[..12]);
    }

    [Fact]
    public async Task Submit_ShortPromptsTogetherLongerThanAStep_JoinOneAfterAnother()
    {
        List<int> batches = [];
        model.OnForward = batch => batches.Add(batch.Count);
        using ManualResetEventSlim all = new();
        model.OnForward += _ => all.Wait();
        Task<List<GeneratedToken>> first = Answers.Collect(scheduler, Answers.Greedy(model, [1], 6));
        while (model.Forwards == 0)
        {
            await Task.Yield();
        }

        Task<List<GeneratedToken>>[] others = [.. Enumerable.Range(0, 3).Select(i => Answers.Collect(scheduler, Answers.Greedy(model, [i, 1, 2, 3], 2)))];
        while (scheduler.Statistics.Waiting < 3)
        {
            await Task.Yield();
        }

        all.Set();
        await Task.WhenAll([first, .. others]);

        // The step computes 4 and 4 of its 10 positions, then 2 of the third prompt. The next step computes the other 2.
        Assert.Equal([1, 3, 4, 2, 1, 1], batches);
    }

    [Fact]
    public async Task Submit_SeveralLongPrompts_ShareEachStepAndTakeTurns()
    {
        FakeLanguageModel wide = new("w", 32, 1000) { ComputesPromptsInPieces = true };
        using FusedModel fused = new("one", [wide]);
        await using DecodeScheduler own = new(fused, new() { PromptTokensPerStep = 128 });
        List<(int Prompt, int Positions)> pieces = [];
        using ManualResetEventSlim all = new();
        wide.OnForward = _ => all.Wait();
        wide.OnPrefill = (prompt, positions) =>
        {
            pieces.Add((prompt[0], positions));
        };
        Task<List<GeneratedToken>> first = Answers.Collect(own, Answers.Greedy(wide, [9], 40));
        while (wide.Forwards == 0)
        {
            await Task.Yield();
        }

        Task<List<GeneratedToken>>[] others = [.. Enumerable.Range(0, 3).Select(i => Answers.Collect(own, Answers.Greedy(wide, [i, .. new int[320]], 1)))];
        while (own.Statistics.Waiting < 3)
        {
            await Task.Yield();
        }

        all.Set();
        await Task.WhenAll([first, .. others]);

        // Two of the three prompts advance in each step.
        Assert.Equal([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], pieces[..12].Select(piece => piece.Prompt));
        Assert.All(pieces[..12], piece => Assert.Equal(64, piece.Positions));
    }

    [Fact]
    public async Task Dispose_DuringPrefill_FreesTheSequenceWithoutForward()
    {
        using SemaphoreSlim inside = new(0), goOn = new(0);
        model.OnPrefill = (_, _) =>
        {
            inside.Release();
            goOn.Wait();
        };
        GenerationStream cancelled = scheduler.Submit(Answers.Greedy(model, new int[500], 5));
        await inside.WaitAsync();
        cancelled.Dispose();
        goOn.Release();
        while (model.LiveSequences > 0 || scheduler.Statistics.Running > 0)
        {
            await Task.Yield();
        }

        Assert.Equal((0, 1), (model.Forwards, model.Prefills));
        Assert.Empty(await Answers.Collect(cancelled));
    }

    [Fact]
    public async Task Submit_PromptFails_FailsOnlyItsRequest()
    {
        model.OnPrefill = (prompt, _) =>
        {
            if (prompt[0] == 7)
            {
                throw new InvalidOperationException("broken wire");
            }
        };
        using FusedModel fused = new("one", [model]);
        await using DecodeScheduler own = new(fused, new() { PromptTokensPerStep = 10 });
        Task<List<GeneratedToken>> good = Answers.Collect(own, Answers.Greedy(model, new int[30], 5));
        int[] bad = new int[30];
        bad[0] = 7;
        EngineException e = await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(own, Answers.Greedy(model, bad, 5)));
        Assert.Equal(EngineError.ModelFailure, e.Error);
        Assert.Contains("'m' failed: broken wire", e.Message, StringComparison.Ordinal);
        Assert.Equal(5, (await good).Count);
        while (own.Statistics.Running > 0)
        {
            await Task.Yield();
        }

        Assert.Equal(0, model.LiveSequences);
    }
}
