using System.Runtime.CompilerServices;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class AdmissionQueueTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly FakeLanguageModel model = new("m");
    private readonly WakeEvent wake = new();
    private readonly AdmissionQueue queue;

    public AdmissionQueueTests() => queue = new(places: 8, capacity: 3, wake);

    public void Dispose() => model.Dispose();

    [Fact]
    public void Take_SeveralWait_GivesThemInOrderOfArrival()
    {
        GenerationStream[] all = [Add(), Add(), Add()];
        Assert.Equal(3, queue.Count);
        Assert.Equal([all[0], all[1], all[2], null], new[] { queue.Take(), queue.Take(), queue.Take(), queue.Take() });
        Assert.Equal(0, queue.Count);
    }

    [Fact]
    public void PutBack_Taken_WaitsAndIsTheFirstAgainAfterUnblock()
    {
        GenerationStream first = Add(), second = Add();
        queue.PutBack(queue.Take()!);
        Assert.Equal(2, queue.Count);
        Assert.True(queue.IsBlocked);
        Assert.Null(queue.Take());
        queue.Unblock();
        Assert.False(queue.IsBlocked);
        Assert.Equal([first, second, null], new[] { queue.Take(), queue.Take(), queue.Take() });
    }

    [Fact]
    public void PutBack_OriginHasARunningAnswer_OthersOvertakeIt()
    {
        RequestOrigin large = new("a");
        GenerationStream running = Add(large), waiting = Add(large);
        Assert.Same(running, queue.Take());
        queue.PutBack(queue.Take()!);
        GenerationStream other = Add();
        Assert.Same(other, queue.Take());
        Assert.Null(queue.Take());
        queue.Leave(running);

        // Nothing of it runs any more, so nothing overtakes it.
        Add();
        Assert.Null(queue.Take());
        queue.Unblock();
        Assert.Same(waiting, queue.Take());
    }

    [Fact]
    public void Take_CallersWithSeveralRequests_GivesPlacesRoundTheCallersAndTheirRequests()
    {
        AdmissionQueue roomy = new(places: 100, capacity: 100, wake);
        RequestOrigin large = new("a"), small = new("a"), other = new("b");
        GenerationStream[] ofLarge = [.. Enumerable.Range(0, 6).Select(_ => Add(large, roomy))];
        GenerationStream[] ofSmall = [Add(small, roomy), Add(small, roomy)], ofOther = [Add(other, roomy), Add(other, roomy), Add(other, roomy)];
        GenerationStream?[] taken = [.. Enumerable.Range(0, 11).Select(_ => roomy.Take())];
        Assert.Equal(
            [ofLarge[0], ofOther[0], ofSmall[0], ofOther[1], ofLarge[1], ofOther[2], ofSmall[1], ofLarge[2], ofLarge[3], ofLarge[4], ofLarge[5]], taken);
        Assert.Null(roomy.Take());
    }

    [Fact]
    public void Take_OneRequestWithManyAnswers_LeavesTheLastQuarterOfThePlacesToOthers()
    {
        AdmissionQueue narrow = new(places: 4, capacity: 100, wake);
        RequestOrigin large = new("a");
        GenerationStream[] ofLarge = [.. Enumerable.Range(0, 5).Select(_ => Add(large, narrow))];
        Assert.Equal([ofLarge[0], ofLarge[1], ofLarge[2], null], Enumerable.Range(0, 4).Select(_ => narrow.Take()));
        GenerationStream late = Add(new("a"), narrow);
        Assert.Same(late, narrow.Take());
        Add(new("b"), narrow);
        Assert.Null(narrow.Take());
        narrow.Leave(late);
        Assert.NotNull(narrow.Take());
        narrow.Leave(ofLarge[0]);
        Assert.Null(narrow.Take());
        narrow.Leave(ofLarge[1]);
        Assert.Same(ofLarge[3], narrow.Take());
    }

    [Fact]
    public void Add_QueueIsFull_TellsHowManyWait()
    {
        Array.ForEach([Add(), Add(), Add()], _ => { });
        EngineException e = Assert.Throws<EngineException>(Add);
        Assert.Equal(EngineError.QueueFull, e.Error);
        Assert.StartsWith("3 requests are waiting", e.Message, StringComparison.Ordinal);
        queue.Take();
        Add();
    }

    [Fact]
    public void Remove_Waiting_MakesRoomAndIsNeverTaken()
    {
        GenerationStream[] all = [Add(), Add(), Add()];
        queue.Remove(all[1]);
        Assert.Equal([all[0], all[2], null], new[] { queue.Take(), queue.Take(), queue.Take() });
    }

    [Fact]
    public async Task Close_SomeWait_FailsThemAndRefusesOthers()
    {
        GenerationStream[] all = [Add(), Add()];
        queue.Close();
        foreach (GenerationStream generation in all)
        {
            EngineException e = await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(generation));
            Assert.Equal((EngineError.Stopping, "The engine is shutting down."), (e.Error, e.Message));
        }

        Assert.Null(queue.Take());
        Assert.Equal(EngineError.Stopping, Assert.Throws<EngineException>(Add).Error);
    }

    /// <summary>The loop waits for the wake; each of these changes something that it must see.</summary>
    [Fact]
    public async Task Changes_LoopWaits_WakeIt()
    {
        await Wakes(() => Add());
        await Wakes(() => queue.Remove(queue.Take()!));
        await Wakes(queue.Close);
    }

    [Fact]
    public async Task Wait_SetBefore_ReturnsOnceForAllSets()
    {
        wake.Set();
        wake.Set();
        await Task.Run(wake.Wait).WaitAsync(Patience);
        Task second = Task.Run(wake.Wait);
        Assert.NotSame(second, await Task.WhenAny(second, Task.Delay(100)));
        wake.Set();
        await second.WaitAsync(Patience);
    }

    [Fact]
    public void Remove_RequestThatWaitsForMemory_LetsTheNextOneRun()
    {
        GenerationStream first = Add(), second = Add();
        queue.PutBack(queue.Take()!);
        Assert.Null(queue.Take());
        queue.Remove(first);
        Assert.Same(second, queue.Take());
    }

    /// <summary>A caller whose answers have all ended is like one that never had any.</summary>
    [Fact]
    public void Leave_LastAnswerOfACaller_GivesItTheNextPlace()
    {
        GenerationStream earlier = Add(new("a"));
        Assert.Same(earlier, queue.Take());
        GenerationStream running = Add(new("b"));
        Assert.Same(running, queue.Take());
        queue.Leave(earlier);
        GenerationStream ofBusy = Add(new("b")), ofIdle = Add(new("a"));
        Assert.Equal([ofIdle, ofBusy], new[] { queue.Take(), queue.Take() });
    }

    [Theory]
    [InlineData("leave")]
    [InlineData("remove")]
    [InlineData("close")]
    public void LastRequestOfAnOrigin_IsGone_ForgetsTheOrigin(string way)
    {
        WeakReference origin = AddAndEnd(way);
        GC.Collect();
        Assert.False(origin.IsAlive);
    }

    [Fact]
    public void Close_SomeWait_NoneWaitsAfterwards()
    {
        Array.ForEach([Add(), Add()], _ => { });
        queue.Close();
        Assert.Equal(0, queue.Count);
    }

    [Fact]
    public void Take_AsManyRunAsThereArePlaces_GivesNothingUntilOneLeaves()
    {
        AdmissionQueue two = new(places: 2, capacity: 3, wake);
        GenerationStream[] all = [Add(new(""), two), Add(new(""), two), Add(new(""), two)];
        Assert.Equal([all[0], all[1], null], new[] { two.Take(), two.Take(), two.Take() });
        two.Leave(all[0]);
        Assert.Same(all[2], two.Take());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference AddAndEnd(string way)
    {
        RequestOrigin origin = new("a");
        GenerationStream generation = Add(origin);
        switch (way)
        {
            case "leave":
                queue.Leave(queue.Take()!);
                break;
            case "remove":
                queue.Remove(generation);
                break;
            default:
                queue.Close();
                break;
        }

        return new(origin);
    }

    private async Task Wakes(Action change)
    {
        Task waiting = Task.Run(wake.Wait);
        change();
        await waiting.WaitAsync(Patience);
    }

    private GenerationStream Add() => Add(new(""));

    private GenerationStream Add(RequestOrigin origin, AdmissionQueue? other = null)
    {
        GenerationStream generation = new(Answers.Greedy(model, [1], 1) with { Origin = origin }, other ?? queue);
        generation.AdmissionQueue.Add(generation);
        return generation;
    }
}
