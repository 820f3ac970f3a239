using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class WaitingQueueTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly FakeLanguageModel model = new("m");
    private readonly WakeEvent wake = new();
    private readonly AdmissionQueue admission;
    private readonly WaitingQueue queue;

    public WaitingQueueTests()
    {
        admission = new(places: 2, capacity: 3, wake);
        queue = admission.Waiting;
    }

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
    public void PutBack_Taken_IsTheFirstAgain()
    {
        GenerationStream first = Add();
        Add();
        queue.PutBack(queue.Take()!);
        Assert.Same(first, queue.Take());
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
    public void HasPlace_AsManyRunAsThereArePlaces_IsFalse()
    {
        admission.Running = 1;
        Assert.True(admission.HasPlace);
        admission.Running = 2;
        Assert.False(admission.HasPlace);
    }

    private async Task Wakes(Action change)
    {
        Task waiting = Task.Run(wake.Wait);
        change();
        await waiting.WaitAsync(Patience);
    }

    private GenerationStream Add()
    {
        GenerationStream generation = new(Answers.Greedy(model, [1], 1), admission);
        queue.Add(generation);
        return generation;
    }
}
