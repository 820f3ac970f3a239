namespace ProxyTune.Trainer.Data;

/// <summary>
/// Assigns examples to steps. Every epoch has a new order, and the examples of a batch have similar lengths, so that padding is small.
/// The order is a function of seed and step alone, so that a run can continue at any step.
/// </summary>
internal sealed class EpochOrder(IReadOnlyList<int> lengths, int batchSize, long seed)
{
    // Examples are sorted by length only within pools of this many batches. Thus the order stays random over the epoch.
    private const int PoolBatches = 8;

    private long epoch = -1;
    private int[][] batches = [];

    public long StepsPerEpoch => (lengths.Count + batchSize - 1) / batchSize;

    /// <returns>The indices of the step's examples, shortest first.</returns>
    public int[] At(long step)
    {
        long epoch = step / StepsPerEpoch;
        if (epoch != this.epoch)
        {
            batches = Shuffle(epoch);
            this.epoch = epoch;
        }

        return batches[step % StepsPerEpoch];
    }

    private int[][] Shuffle(long epoch)
    {
        Random random = new(HashCode(seed, epoch));
        int[] order = Enumerable.Range(0, lengths.Count).ToArray();
        random.Shuffle(order);
        int[][] batches = order.Chunk(PoolBatches * batchSize).SelectMany(pool => pool.OrderBy(i => lengths[i]).ThenBy(i => i).Chunk(batchSize)).ToArray();
        random.Shuffle(batches);
        return batches;
    }

    // System.HashCode differs from process to process.
    private static int HashCode(long seed, long epoch) => unchecked((int)((seed * 6364136223846793005L + epoch * 1442695040888963407L) >> 32));
}
