namespace ProxyTune.Trainer.Data;

/// <summary>
/// Which examples make up which step: a new order every epoch, and batches of similar lengths, so that little is padded.
/// A function of seed and step alone, so that a run can go on anywhere.
/// </summary>
internal sealed class EpochOrder(IReadOnlyList<int> lengths, int batchSize, long seed)
{
    // Examples are sorted by length within pools of so many batches, which keeps the order random over the epoch.
    private const int PoolBatches = 8;

    private long epoch = -1;
    private int[][] batches = [];

    public long StepsPerEpoch => (lengths.Count + batchSize - 1) / batchSize;

    /// <returns>Indices of the step's examples, shortest first.</returns>
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
