using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class DecodeSchedulerTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly FakeLanguageModel model = new("m", vocabularySize: 32, contextLength: 64);
    private readonly DecodeScheduler scheduler;

    public DecodeSchedulerTests() => scheduler = new(model, new() { MaxRunning = 4, MaxWaiting = 3 });

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await scheduler.DisposeAsync();

    public void Dispose() => model.Dispose();

    [Fact]
    public async Task Submit_Greedy_GivesTheModelsOwnArgmaxUntilMaxTokens()
    {
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Answers.Greedy(model, [1, 2, 3], 5));
        Assert.Equal(Answers.GreedyOracle(model, [1, 2, 3], 5), tokens.Select(t => t.Id));
        Assert.Equal([null, null, null, null, FinishReason.Length], tokens.Select(t => t.Finish));
        Assert.All(tokens, t => Assert.Null(t.Logprob));
    }

    [Fact]
    public async Task Submit_ContextEnds_StopsWithLength()
    {
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Answers.Greedy(model, new int[60], int.MaxValue));
        Assert.Equal(4, tokens.Count);
        Assert.Equal(FinishReason.Length, tokens[^1].Finish);
    }

    [Fact]
    public async Task Submit_EndOfTextIsDrawn_StopsUnlessIgnored()
    {
        using FakeLanguageModel counting = new("counting", 10, 64, endOfTextIds: 5) { Rows = (tokens, row) => { row.Clear(); row[(tokens[^1] + 1) % 10] = 9; } };
        await using DecodeScheduler own = new(counting, new());
        List<GeneratedToken> tokens = await Answers.Collect(own, Answers.Greedy(counting, [2], 9));
        Assert.Equal([3, 4, 5], tokens.Select(t => t.Id));
        Assert.Equal([null, null, FinishReason.Stop], tokens.Select(t => t.Finish));
        tokens = await Answers.Collect(own, Answers.Greedy(counting, [2], 5) with { IgnoreEndOfText = true });
        Assert.Equal([3, 4, 5, 6, 7], tokens.Select(t => t.Id));
    }

    [Fact]
    public async Task Submit_Logprobs_AreOfTheUntouchedDistribution()
    {
        GenerationRequest request = Answers.Greedy(model, [1, 2], 2) with { TopLogprobs = 3 };
        request = request with { Sampling = request.Sampling with { TopK = 1, LogitBias = new Dictionary<int, float> { [7] = 100 } } };
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, request);
        float[] row = Tests.Models.Rows.Fresh(model, [1, 2])[0];
        double normaliser = Math.Log(row.Sum(s => Math.Exp(s)));
        Assert.Equal(7, tokens[0].Id);
        Assert.Equal(row[7] - normaliser, tokens[0].Logprob!.Value, 1e-4);
        Assert.Equal(row.OrderDescending().Take(3).Select(s => Math.Round(s - normaliser, 3)), tokens[0].Top.Select(t => Math.Round(t.Logprob, 3)));
    }

    [Fact]
    public async Task Submit_SameSeed_GivesTheSameTextAloneAndInABatch()
    {
        GenerationRequest request = Answers.Greedy(model, [4, 4], 12) with { Sampling = new() { Seed = 42, TopP = 0.9f } };
        int[] alone = [.. (await Answers.Collect(scheduler, request)).Select(t => t.Id)];
        List<GeneratedToken>[] together = await Task.WhenAll(
            Answers.Collect(scheduler, request),
            Answers.Collect(scheduler, Answers.Greedy(model, [1], 15) with { Sampling = new() { Seed = 43 } }),
            Answers.Collect(scheduler, request));
        Assert.Equal(alone, together[0].Select(t => t.Id));
        Assert.Equal(alone, together[2].Select(t => t.Id));
        int[] other = [.. (await Answers.Collect(scheduler, request with { Sampling = new() { Seed = 44 } })).Select(t => t.Id)];
        Assert.NotEqual(alone, other);
    }

    [Fact]
    public async Task Submit_ManyAtOnce_ShareEveryStep()
    {
        using Gate gate = new(model);
        GenerationStream first = scheduler.Submit(Answers.Greedy(model, [9], 1));
        await gate.Entered();
        GenerationStream[] others = [.. Enumerable.Range(0, 3).Select(i => scheduler.Submit(Answers.Greedy(model, [i], 10)))];
        gate.Open();
        await Task.WhenAll([Answers.Collect(first), .. others.Select(Answers.Collect)]);
        Assert.Equal(11, model.Forwards);
        Assert.Equal((11, 31, 4), (scheduler.Statistics.Steps, scheduler.Statistics.Tokens, scheduler.Statistics.PromptTokens));
    }

    [Fact]
    public async Task Submit_QueueIsFull_IsRefusedAndTheOthersFinish()
    {
        using Gate gate = new(model);
        GenerationStream first = scheduler.Submit(Answers.Greedy(model, [9], 2));
        await gate.Entered();
        GenerationStream[] waiting = [.. Enumerable.Range(0, 3).Select(i => scheduler.Submit(Answers.Greedy(model, [i], 2)))];
        EngineException e = Assert.Throws<EngineException>(() => scheduler.Submit(Answers.Greedy(model, [1], 2)));
        Assert.Equal(EngineError.QueueFull, e.Error);

        // A cancelled request frees its place at once.
        waiting[1].Dispose();
        Assert.Equal(2, scheduler.Statistics.Waiting);
        GenerationStream last = scheduler.Submit(Answers.Greedy(model, [1], 2));
        gate.Open();
        Assert.All(await Task.WhenAll(new[] { first, waiting[0], waiting[2], last }.Select(Answers.Collect)), t => Assert.Equal(2, t.Count));
        Assert.Empty(await Answers.Collect(waiting[1]));
    }

    [Fact]
    public async Task Submit_ModelIsFull_WaitsForARow()
    {
        using FakeLanguageModel narrow = new("narrow") { MaxSequences = 2 };
        await using DecodeScheduler own = new(narrow, new() { MaxRunning = 8 });
        List<GeneratedToken>[] all = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Answers.Collect(own, Answers.Greedy(narrow, [i], 3))));
        Assert.All(all, tokens => Assert.Equal(3, tokens.Count));
    }

    [Fact]
    public async Task Dispose_WhileRunning_FreesTheSequence()
    {
        using Gate gate = new(model, forwards: 3);
        GenerationStream generation = scheduler.Submit(Answers.Greedy(model, [1], int.MaxValue));
        await gate.Entered();
        generation.Dispose();
        gate.Open();
        await Idle();
        Assert.Equal(3, model.Forwards);
        Assert.Equal(2, (await Answers.Collect(generation)).Count);
    }

    [Fact]
    public async Task Dispose_DuringPrefill_FreesTheSequenceAfterIt()
    {
        using Gate gate = new(model);
        GenerationStream generation = scheduler.Submit(Answers.Greedy(model, [1, 2, 3], 20));
        await gate.Entered();
        generation.Dispose();
        gate.Open();
        await Idle();
        Assert.Equal(1, model.Forwards);
    }

    [Fact]
    public async Task Submit_ModelThrows_FailsItsRequestsAndServesTheNext()
    {
        model.OnForward = _ => throw new InvalidOperationException("broken wire");
        EngineException e = await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(scheduler, Answers.Greedy(model, [1], 3)));
        Assert.Equal(EngineError.ModelFailure, e.Error);
        Assert.Contains("broken wire", e.Message, StringComparison.Ordinal);
        model.OnForward = null;
        Assert.Equal(3, (await Answers.Collect(scheduler, Answers.Greedy(model, [1], 3))).Count);
        await Idle();
    }

    [Fact]
    public async Task Submit_RowCannotBeDrawnFrom_FailsOnlyThatRequest()
    {
        using FakeLanguageModel picky = new("picky") { Rows = (tokens, row) => row.Fill(tokens[0] == 1 ? float.NegativeInfinity : 0) };
        await using DecodeScheduler own = new(picky, new());
        Task<List<GeneratedToken>> good = Answers.Collect(own, Answers.Greedy(picky, [2], 5));
        await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(own, Answers.Greedy(picky, [1], 5)));
        Assert.Equal(5, (await good).Count);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(100)]
    public void Submit_PromptLeavesNoRoom_NamesLengthAndLimit(int length)
    {
        EngineException e = Assert.Throws<EngineException>(() => scheduler.Submit(Answers.Greedy(model, new int[length], 1)));
        Assert.Equal(EngineError.PromptTooLong, e.Error);
        Assert.Contains($"{length} tokens", e.Message, StringComparison.Ordinal);
        Assert.Contains("64 tokens", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Submit_InvalidValue_NamesTheField()
    {
        GenerationRequest request = Answers.Greedy(model, [1], 3);
        Assert.Equal("max_tokens", Refused(request with { MaxTokens = 0 }));
        Assert.Equal("top_logprobs", Refused(request with { TopLogprobs = 21 }));
        Assert.Equal("temperature", Refused(request with { Sampling = new() { Temperature = -1 } }));
        Assert.Equal("prompt", Refused(Answers.Greedy(model, [], 3)));
    }

    [Fact]
    public async Task DisposeAsync_WhileRunning_EndsEveryAnswer()
    {
        DecodeScheduler own = new(model, new() { MaxRunning = 1 });
        using Gate gate = new(model);
        GenerationStream[] generations = [.. Enumerable.Range(0, 3).Select(i => own.Submit(Answers.Greedy(model, [i], 50)))];
        await gate.Entered();
        ValueTask disposing = own.DisposeAsync();
        gate.Open();
        await disposing;
        foreach (GenerationStream generation in generations)
        {
            Assert.Equal(EngineError.Stopping, (await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(generation))).Error);
        }

        Assert.Equal(EngineError.Stopping, Assert.Throws<EngineException>(() => own.Submit(Answers.Greedy(model, [1], 1))).Error);
        Assert.Equal(0, model.LiveSequences);
    }

    /// <summary>More tokens may wait unread where each is small.</summary>
    [Theory]
    [InlineData(null, 32_768)]
    [InlineData(15, 2048)]
    public async Task Submit_TokensAreNotRead_EndsAtABoundWithAnError(int? topLogprobs, int most)
    {
        using FakeLanguageModel large = new("large", contextLength: 50_000) { Rows = (_, row) => row.Clear() };
        await using DecodeScheduler own = new(large, new());
        using GenerationStream unread = own.Submit(Answers.Greedy(large, [1], 40_000) with { TopLogprobs = topLogprobs });
        using CancellationTokenSource patience = new(Patience);
        while (own.Statistics.Steps == 0 || large.LiveSequences > 0)
        {
            await Task.Delay(1, patience.Token);
        }

        int count = 0;
        EngineException e = await Assert.ThrowsAsync<EngineException>(async () =>
        {
            await foreach (GeneratedToken _ in unread.Tokens.ReadAllAsync())
            {
                count++;
            }
        });
        Assert.Equal((EngineError.SlowReader, most), (e.Error, count));
        Assert.Equal($"The client has not read the last {most} tokens, so the answer ends here; read faster, or ask for fewer max_tokens.", e.Message);
        Assert.Equal(most + 1, large.Forwards);
    }

    [Fact]
    public async Task Submit_WithAUse_EndsItOnlyWhenTheSequenceIsDisposed()
    {
        using Gate gate = new(model);
        CountedUse use = new(() => Assert.Equal(0, model.LiveSequences));
        GenerationStream generation = scheduler.Submit(Answers.Greedy(model, [1], 20) with { Use = use.Begin });
        await gate.Entered();
        generation.Dispose();
        Assert.Equal((1, 0), (use.Begun, use.Ended));
        gate.Open();
        await Idle();
        await use.AllEnded();
    }

    [Fact]
    public async Task Submit_NeverRuns_EndsItsUse()
    {
        using Gate gate = new(model);
        DecodeScheduler own = new(model, new() { MaxRunning = 1, MaxWaiting = 2 });
        CountedUse use = new(() => { });
        GenerationStream running = own.Submit(Answers.Greedy(model, [1], 2) with { Use = use.Begin });
        await gate.Entered();
        GenerationStream cancelled = own.Submit(Answers.Greedy(model, [1], 2) with { Use = use.Begin }), waiting = own.Submit(Answers.Greedy(model, [1], 2) with { Use = use.Begin });
        Assert.Throws<EngineException>(() => own.Submit(Answers.Greedy(model, [1], 2) with { Use = use.Begin }));
        Assert.Equal((4, 1), (use.Begun, use.Ended));
        cancelled.Dispose();
        Assert.Equal(2, use.Ended);
        ValueTask stopping = own.DisposeAsync();
        Assert.Equal(3, use.Ended);
        gate.Open();
        await stopping;
        await use.AllEnded();
        Assert.True(waiting.Tokens.Completion.IsFaulted);
        running.Dispose();
    }

    [Fact]
    public async Task Submit_DisposalOfASequenceThrows_TheOthersGoOn()
    {
        using FakeLanguageModel other = new("other");
        using FusedModel fused = new("town", [model, other]);
        await using DecodeScheduler own = new(fused, new());
        model.OnDispose = tokens => _ = tokens[0] == 7 ? throw new InvalidOperationException("a cache is broken") : 0;
        FusionPlan plan = new([new(model, StreamRole.Base, 1), new(other, StreamRole.Expert, 1)]);
        Task<List<GeneratedToken>> longer = Answers.Collect(own, Answers.Greedy(model, [1], 40));
        Assert.Equal(2, (await Answers.Collect(own, new() { Prompt = new(plan, [new[] { 7 }, new[] { 7 }]), MaxTokens = 2 })).Count);
        Assert.Equal(Answers.GreedyOracle(model, [1], 40), (await longer).Select(token => token.Id));
        Assert.Equal(2, (await Answers.Collect(own, Answers.Greedy(model, [2], 2))).Count);
        while (own.Statistics.Running > 0)
        {
            await Task.Yield();
        }

        // The sequence of the other member is disposed too.
        Assert.Equal((0, 0, 1), (model.LiveSequences, other.LiveSequences, own.Statistics.Faults));
        Assert.Null(own.Failure);
    }

    [Fact]
    public async Task Submit_SequenceThrowsBetweenSteps_FailsOnlyItsRequest()
    {
        model.OnPending = tokens => _ = tokens[0] == 7 ? throw new InvalidOperationException("a sequence is broken") : 0;
        Task<List<GeneratedToken>> good = Answers.Collect(scheduler, Answers.Greedy(model, [1], 30));
        EngineException e = await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(scheduler, Answers.Greedy(model, [7], 5)));
        Assert.Contains("a sequence is broken", e.Message, StringComparison.Ordinal);
        Assert.Equal(30, (await good).Count);
        await Idle();
        Assert.Equal(0, scheduler.Statistics.Faults);
    }

    [Fact]
    public async Task Submit_AdmissionThrowsAfterTheStart_DisposesTheSequence()
    {
        using FakeLanguageModel strange = new("strange") { Expect = _ => throw new InvalidOperationException("no network") };
        await using DecodeScheduler own = new(strange, new());
        await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(own, Answers.Greedy(strange, [1], 5)));
        Assert.Equal(0, strange.LiveSequences);
    }

    [Fact]
    public async Task Submit_EndOfAUseThrows_TheLoopGoesOn()
    {
        CountedUse broken = new(() => throw new InvalidOperationException("a count is wrong"));
        Task<List<GeneratedToken>> longer = Answers.Collect(scheduler, Answers.Greedy(model, [1], 40));
        Assert.Equal(2, (await Answers.Collect(scheduler, Answers.Greedy(model, [7], 2) with { Use = broken.Begin })).Count);
        Assert.Equal(Answers.GreedyOracle(model, [1], 40), (await longer).Select(token => token.Id));
        await Idle();
        Assert.Equal((0, 1), (model.LiveSequences, scheduler.Statistics.Faults));
        Assert.Null(scheduler.Failure);
    }

    /// <summary>Rows that are released twice would be written by two threads.</summary>
    [Fact]
    public async Task Submit_ModelThrowsInOneStep_ReleasesTheRowsOfEachOtherStepOnce()
    {
        model.OnForward = _ =>
        {
            if (model.Forwards == 3)
            {
                throw new InvalidOperationException("no memory");
            }
        };
        await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(scheduler, Answers.Greedy(model, [1], 9)));
        Assert.Equal(5, (await Answers.Collect(scheduler, Answers.Greedy(model, [1], 5))).Count);

        // Steps 1, 2 and 4 to 7; those of the third threw, and those of step 8 are kept.
        Assert.Equal((8, 6), (model.Forwards, model.Released));
    }

    /// <summary>The fault lies outside of everything that a request can make fail.</summary>
    [Fact]
    public async Task Submit_LoopItselfFails_FailsTheLiveRequestsAndServesTheNext()
    {
        using FakeLanguageModel large = new("large", contextLength: 100_000) { Rows = (_, row) => row.Clear() };
        BrokenModel broken = new(large);
        await using DecodeScheduler own = new(broken, new());
        GenerationStream[] live = [.. Enumerable.Range(0, 3).Select(i => own.Submit(Answers.Greedy(broken, [i], int.MaxValue)))];
        foreach (GenerationStream generation in live)
        {
            await generation.Tokens.ReadAsync();
        }

        broken.IsBroken = true;
        foreach (GenerationStream generation in live)
        {
            EngineException e = await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(generation));
            Assert.Equal((EngineError.ModelFailure, "The decode loop failed: out of order"), (e.Error, e.Message));
        }

        Assert.Equal((1, "out of order"), (own.Statistics.Faults, own.Failure?.Message));
        broken.IsBroken = false;
        Assert.Equal(3, (await Answers.Collect(own, Answers.Greedy(broken, [1], 3))).Count);
        Assert.Equal((1, null), (own.Statistics.Faults, own.Failure));
    }

    private string? Refused(GenerationRequest request)
    {
        EngineException e = Assert.Throws<EngineException>(() => scheduler.Submit(request));
        Assert.Equal(EngineError.InvalidValue, e.Error);
        return e.Field;
    }

    private async Task Idle()
    {
        using CancellationTokenSource patience = new(Patience);
        while (model.LiveSequences > 0 || scheduler.Statistics is not { Running: 0, Waiting: 0 })
        {
            await Task.Delay(1, patience.Token);
        }
    }

    /// <summary>Counts how often something is begun and ended.</summary>
    private sealed class CountedUse(Action atEnd) : IDisposable
    {
        private int begun;
        private int ended;

        public int Begun => Volatile.Read(ref begun);

        public int Ended => Volatile.Read(ref ended);

        public CountedUse Begin()
        {
            Interlocked.Increment(ref begun);
            return this;
        }

        public void Dispose()
        {
            atEnd();
            Interlocked.Increment(ref ended);
        }

        public async Task AllEnded()
        {
            using CancellationTokenSource patience = new(Patience);
            while (Ended < Begun)
            {
                await Task.Delay(1, patience.Token);
            }

            Assert.Equal(Begun, Ended);
        }
    }

    /// <summary>Holds the model inside its n-th Forward, and all later ones, until opened.</summary>
    private sealed class Gate : IDisposable
    {
        private readonly SemaphoreSlim entered = new(0);
        private readonly ManualResetEventSlim open = new();

        public Gate(FakeLanguageModel model, int forwards = 1) => model.OnForward = _ =>
        {
            if (model.Forwards >= forwards)
            {
                entered.Release();
                open.Wait(Patience);
            }
        };

        public async Task Entered() => Assert.True(await entered.WaitAsync(Patience));

        public void Open() => open.Set();

        public void Dispose() => Open();
    }
}
