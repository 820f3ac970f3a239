using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The fused rows of one batch. A row is fused when it is first read, by the thread that reads it: rows after wrong guesses are never fused,
/// and a row is drawn from while it is still in the cache.
/// </summary>
internal sealed class FusedRows : RowBatch
{
    private readonly ScratchPool<RowFusion> scratch = new();
    private readonly List<(FusedSequence Sequence, int First, int Count)> segments = [];
    private readonly List<int> segmentOf = [];
    private float[][] rows = [];
    private int[] fused = [];
    private int width;

    public override int Count => segmentOf.Count;

    public override int Width => width;

    /// <summary>Starts a batch; rows of the one before are invalid.</summary>
    public void Begin(int newWidth)
    {
        width = newWidth;
        segments.Clear();
        segmentOf.Clear();
    }

    /// <summary>Adds the rows of a segment.</summary>
    public void Add(FusedSequence sequence, int count)
    {
        for (int i = 0; i < count; i++)
        {
            segmentOf.Add(segments.Count);
        }

        segments.Add((sequence, Count - count, count));
    }

    /// <summary>All segments are added.</summary>
    public void End()
    {
        Array.Resize(ref rows, Math.Max(rows.Length, Count));
        Array.Resize(ref fused, Math.Max(fused.Length, segments.Count));
        Array.Clear(fused);
    }

    public override ReadOnlyMemory<float> Row(int index)
    {
        (FusedSequence sequence, int first, int count) = segments[segmentOf[index]];
        ref int done = ref fused[segmentOf[index]];
        for (; first + done <= index; done++)
        {
            float[] row = rows[first + done] is { } known && known.Length >= width ? known : rows[first + done] = new float[width];
            RowFusion fusion = scratch.Rent();
            fusion.Fuse(sequence, done, count, row.AsSpan(0, width));
            scratch.Return(fusion);
        }

        return rows[index].AsMemory(0, width);
    }
}
