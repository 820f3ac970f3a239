namespace ProxyTune.Decoding.Models;

/// <summary>
/// The rows of logits that one <see cref="ILanguageModel.Forward"/> gave, in host memory or on a device. They are valid until the next call
/// of the model.
/// </summary>
/// <remarks>
/// Rows of different segments may be read by different threads at the same time; rows of one segment by one thread at a time, in order.
/// </remarks>
public abstract class RowBatch
{
    /// <summary>Number of rows, those of all segments one after the other.</summary>
    public abstract int Count { get; }

    /// <summary>Logits of a row: the model's vocabulary size.</summary>
    public abstract int Width { get; }

    /// <summary>
    /// A row as float32 in host memory, [Width]. A model may compute a row, or copy it from a device, when it is first read; the
    /// <see cref="Sequence.Fault"/> of its sequence says whether that failed.
    /// </summary>
    public abstract ReadOnlyMemory<float> Row(int index);
}

/// <summary>Rows in managed memory, which is kept for the next batch.</summary>
public sealed class HostRows : RowBatch
{
    private float[] logits = [];
    private int count;
    private int width;

    public override int Count => count;

    public override int Width => width;

    /// <summary>Changes the number of rows; the first ones keep their contents where the width stays the same.</summary>
    public HostRows Resize(int count, int width)
    {
        int length = checked(count * width);
        if (logits.Length < length)
        {
            float[] grown = GC.AllocateUninitializedArray<float>(length);
            logits.AsSpan(0, Math.Min(logits.Length, this.count * this.width)).CopyTo(grown);
            logits = grown;
        }

        (this.count, this.width) = (count, width);
        return this;
    }

    public override ReadOnlyMemory<float> Row(int index) => logits.AsMemory(index * width, width);

    /// <summary>The same row to write into.</summary>
    public Span<float> Write(int index) => logits.AsSpan(index * width, width);
}
