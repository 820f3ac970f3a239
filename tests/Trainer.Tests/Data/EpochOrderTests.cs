using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Tests.Data;

public sealed class EpochOrderTests
{
    [Fact]
    public void At_AnyEpoch_HasEveryExampleOnceInASeededOrder()
    {
        int[] lengths = Enumerable.Range(0, 50).Select(i => i * 7 % 13).ToArray();
        int[] Epoch(long seed, long epoch)
        {
            EpochOrder order = new(lengths, 8, seed);
            return [.. Enumerable.Range(0, (int)order.StepsPerEpoch).SelectMany(i => order.At(epoch * order.StepsPerEpoch + i))];
        }

        Assert.Equal(Enumerable.Range(0, 50), Epoch(1, 0).Order());
        Assert.Equal(Epoch(1, 3), Epoch(1, 3));
        Assert.NotEqual(Epoch(1, 0), Epoch(1, 1));
        Assert.NotEqual(Epoch(1, 0), Epoch(2, 0));
    }
}
