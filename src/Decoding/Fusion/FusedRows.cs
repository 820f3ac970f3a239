using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The fused rows of one batch. The thread that first reads a row fuses it. Thus rows after rejected draft tokens are never fused, and a row is still in
/// the processor's cache when a token is drawn from it.
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

    /// <summary>Starts a batch. The rows of the previous batch become invalid.</summary>
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

    /// <summary>Called after the last segment of a batch.</summary>
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

/// <summary>One model of the ensemble with its rows of the current step. A step has one run, or several if the model drafts.</summary>
internal sealed class Member(ILanguageModel model)
{
    private readonly List<Segment> batch = [];
    private readonly HostRows earlier = new();
    private RowBatch? newest;
    private int rows;
    private bool isOver;

    public ILanguageModel Model { get; } = model;

    /// <summary>The error of the member's last run, or null.</summary>
    public EngineException? Failure { get; private set; }

    /// <summary>Ends the step. Its rows can be read until a segment of the next step is added.</summary>
    public void EndStep() => isOver = true;

    /// <summary>Adds a segment and returns the index of its first row.</summary>
    public int Add(Segment segment)
    {
        if (isOver)
        {
            earlier.Resize(0, Model.Info.VocabularySize);
            newest?.Release();
            (newest, rows, isOver) = (null, 0, false);
        }

        batch.Add(segment);
        rows += segment.Rows;
        return rows - segment.Rows;
    }

    /// <summary>Runs the segments that were added since the last run.</summary>
    public void Run()
    {
        Failure = null;
        if (batch.Count == 0)
        {
            return;
        }

        try
        {
            KeepNewest();
            newest = Model.Forward(batch);
        }
        catch (Exception e)
        {
            // Any exception of the model fails only the sequences that use it.
            Failure = ModelFailure.Of(Model, e);
        }

        batch.Clear();
    }

    public ReadOnlyMemory<float> Row(int index) => index < earlier.Count ? earlier.Row(index) : newest!.Row(index - earlier.Count);

    /// <summary>Copies the rows of the last run, which must be released before the next one.</summary>
    private void KeepNewest()
    {
        if (newest is not null)
        {
            int kept = earlier.Count;
            earlier.Resize(kept + newest.Count, Model.Info.VocabularySize);
            for (int i = 0; i < newest.Count; i++)
            {
                newest.Row(i).Span.CopyTo(earlier.Write(kept + i));
            }

            newest.Release();
            newest = null;
        }
    }
}

/// <summary>
/// A pool of objects with large buffers. It has as many objects as threads that use one at the same time. The object that was returned last is rented
/// first, since its buffers are most likely still in the processor's cache.
/// </summary>
internal sealed class ScratchPool<T>
    where T : class, new()
{
    private readonly Lock gate = new();
    private readonly Stack<T> free = [];

    public T Rent()
    {
        lock (gate)
        {
            if (free.TryPop(out T? scratch))
            {
                return scratch;
            }
        }

        return new();
    }

    public void Return(T scratch)
    {
        lock (gate)
        {
            free.Push(scratch);
        }
    }
}
