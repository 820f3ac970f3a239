using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Checks that only requests with a remote model wait for it.</summary>
public sealed class RemoteRequestTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly ConcurrentQueue<TaskCompletionSource> asked = new();
    private readonly FakeLanguageModel local = new("local");
    private readonly FakeLanguageModel remote;
    private readonly FusedModel ensemble;
    private readonly DecodeScheduler scheduler;

    public RemoteRequestTests()
    {
        remote = new("remote") { Expect = _ => Ask() };
        ensemble = new("ensemble", [local, remote]);
        scheduler = new(ensemble, new() { MaxRunning = 1, MaxRemote = 2, MaxWaiting = 2 });
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await scheduler.DisposeAsync();

    public void Dispose()
    {
        ensemble.Dispose();
        local.Dispose();
        remote.Dispose();
    }

    [Fact]
    public async Task Submit_RemoteHasNotAnswered_OthersFinishFirst()
    {
        Task<List<GeneratedToken>> slow = Answers.Collect(scheduler, Fused([1, 2], 3));
        Assert.Equal(Answers.GreedyOracle(local, [5], 9), (await Local([5], 9)).Select(token => token.Id));
        Assert.Equal(0, remote.Forwards);
        Assert.False(slow.IsCompleted);
        for (int i = 0; i < 3; i++)
        {
            (await Asked()).SetResult();
        }

        Assert.Equal(3, (await slow.WaitAsync(Patience)).Count);
        Assert.Equal(3, remote.Forwards);
    }

    [Fact]
    public async Task Submit_RemotePlacesAndQueueAreFull_LocalRequestsAreServed()
    {
        GenerationStream[] hanging = [.. Enumerable.Range(0, 2).Select(i => scheduler.Submit(Fused([i], 3)))];
        await Asked();
        await Asked();
        GenerationStream[] waiting = [.. Enumerable.Range(0, 2).Select(i => scheduler.Submit(Fused([i], 3)))];
        Assert.Equal(EngineError.QueueFull, Assert.Throws<EngineException>(() => scheduler.Submit(Fused([9], 3))).Error);

        Assert.Equal(4, (await Local([1], 4)).Count);
        Assert.Equal((2, 2), (scheduler.Statistics.Running, scheduler.Statistics.Waiting));
        Assert.All([.. hanging, .. waiting], generation => generation.Dispose());
        await Idle();
    }

    [Fact]
    public async Task Dispose_WhileTheRemoteIsAwaited_FreesThePlaceAtOnce()
    {
        GenerationStream first = scheduler.Submit(Fused([1], 3)), second = scheduler.Submit(Fused([2], 3));
        await Asked();
        await Asked();
        Task<List<GeneratedToken>> third = Answers.Collect(scheduler, Fused([3], 1));
        first.Dispose();
        (await Asked()).SetResult();
        Assert.Single(await third.WaitAsync(Patience));
        second.Dispose();
        await Idle();
    }

    [Fact]
    public async Task DisposeAsync_WhileTheRemoteIsAwaited_EndsTheAnswer()
    {
        DecodeScheduler own = new(ensemble, new());
        Task<List<GeneratedToken>> answer = Answers.Collect(own, Fused([1], 3));
        await Asked();
        await own.DisposeAsync().AsTask().WaitAsync(Patience);
        Assert.Equal(EngineError.Stopping, (await Assert.ThrowsAsync<EngineException>(() => answer)).Error);
        Assert.Equal(0, remote.LiveSequences);
    }

    [Fact]
    public async Task Submit_SeveralRemoteStreams_WaitsForAllOfThem()
    {
        FusionPlan plan = new([new(remote, StreamRole.Base, 1), new(remote, StreamRole.Expert, 1)]);
        Task<List<GeneratedToken>> answer = Answers.Collect(scheduler, Greedy(new Prompt(plan, [new[] { 1 }, new[] { 2 }]), 1));
        TaskCompletionSource first = await Asked(), second = await Asked();
        second.SetResult();
        await Local([1], 5);
        Assert.Equal(0, remote.Forwards);
        first.SetResult();
        Assert.Single(await answer.WaitAsync(Patience));
    }

    private Task<List<GeneratedToken>> Local(int[] prompt, int count) =>
        Answers.Collect(scheduler, Answers.Greedy(local, prompt, count)).WaitAsync(Patience);

    private GenerationRequest Fused(int[] prompt, int count)
    {
        FusionPlan plan = new([new(remote, StreamRole.Base, 1), new(local, StreamRole.Expert, 1)]);
        return Greedy(new Prompt(plan, [prompt, prompt]), count);
    }

    private static GenerationRequest Greedy(Prompt prompt, int count) => new() { Prompt = prompt, Sampling = new() { Temperature = 0 }, MaxTokens = count };

    private Task Ask()
    {
        TaskCompletionSource answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        asked.Enqueue(answer);
        return answer.Task;
    }

    private async Task<TaskCompletionSource> Asked()
    {
        using CancellationTokenSource patience = new(Patience);
        for (; ; )
        {
            if (asked.TryDequeue(out TaskCompletionSource? answer))
            {
                return answer;
            }

            await Task.Delay(1, patience.Token);
        }
    }

    private async Task Idle()
    {
        using CancellationTokenSource patience = new(Patience);
        while (remote.LiveSequences > 0 || scheduler.Statistics is not { Running: 0, Waiting: 0 })
        {
            await Task.Delay(1, patience.Token);
        }
    }
}
