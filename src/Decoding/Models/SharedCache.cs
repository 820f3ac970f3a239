using System.Numerics;

using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Keys and values in place: past and present are the same rows of one buffer per layer and kind, [rows, heads, width, head size], and a
/// run sees the rows of its sequences as one tensor.
/// </summary>
/// <remarks>
/// All sequences share one width, a power of two that doubles when the longest outgrows it (copying what is used), so that any of them can
/// decode together; the number of rows doubles likewise. Moving a row is the one copying operation.
/// </remarks>
internal sealed class SharedCache : KeyValueCache
{
    private const int LeastWidth = 256;

    private readonly DecoderSession decoder;
    private readonly List<OnnxSequence?> rows = [];
    private readonly Dictionary<OrtIoBinding, (int First, int Count)> bound = [];
    private NativeTensor[] tensors;
    private int capacity;
    private int width;

    public SharedCache(DecoderSession decoder)
    {
        this.decoder = decoder;
        tensors = Allocate();
    }

    public override bool Batches => true;

    private long HeadLength => (long)width * decoder.Cache.HeadSize;

    private long RowLength => decoder.Cache.Heads * HeadLength;

    public override void Add(OnnxSequence sequence)
    {
        int free = rows.IndexOf(null);
        if (free < 0)
        {
            free = rows.Count;
            rows.Add(null);
        }

        rows[free] = sequence;
        sequence.Row = free;
    }

    public override void Remove(OnnxSequence sequence)
    {
        rows[sequence.Row] = null;
        while (rows.Count > 0 && rows[^1] is null)
        {
            rows.RemoveAt(rows.Count - 1);
        }

        if (rows.Count == 0 && width > LeastWidth)
        {
            // What a long conversation took is given back as soon as nobody is there to be copied.
            Replace(Allocate(), 0, 0);
        }
    }

    public override void Bind(OrtIoBinding binding, List<OnnxSequence> batch, int positions)
    {
        // First, since a row that was given out but never computed may lie beyond the buffers.
        Reserve(batch.Max(s => s.Computed) + positions);
        Gather(batch);
        batch.Sort(static (a, b) => a.Row.CompareTo(b.Row));
        int first = batch[0].Row;
        if (bound.GetValueOrDefault(binding) == (first, batch.Count))
        {
            return;
        }

        bound[binding] = (first, batch.Count);
        for (int i = 0; i < tensors.Length; i++)
        {
            using OrtValue view = tensors[i].View(first * RowLength, batch.Count, decoder.Cache.Heads, width, decoder.Cache.HeadSize);
            binding.BindInput(decoder.CacheNames[i].Past, view);
            binding.BindOutput(decoder.CacheNames[i].Present, view);
        }
    }

    public override void Advance(List<OnnxSequence> batch, int positions) => batch.ForEach(s => s.Computed += positions);

    public override void Truncate(OnnxSequence sequence, int length) => sequence.Computed = length;

    public override void Dispose() => Replace([], 0, 0);

    private NativeTensor[] Allocate() => [.. decoder.CacheNames.Select(_ => new NativeTensor(decoder.Cache.Type))];

    /// <summary>Makes the batch's rows neighbours.</summary>
    private void Gather(List<OnnxSequence> batch)
    {
        int first = batch.Min(s => s.Row);
        if (batch.Max(s => s.Row) - first == batch.Count - 1)
        {
            return;
        }

        HashSet<OnnxSequence> members = [.. batch];
        for (int row = 0; row < batch.Count; row++)
        {
            OnnxSequence? there = rows[row];
            if (there is not null && members.Contains(there))
            {
                continue;
            }

            if (there is not null)
            {
                int free = rows.IndexOf(null, batch.Count);
                if (free < 0)
                {
                    free = rows.Count;
                    rows.Add(null);
                    Reserve(width);
                }

                Move(there, free);
            }

            Move(batch.First(s => s.Row >= batch.Count), row);
        }
    }

    private void Move(OnnxSequence sequence, int to)
    {
        Copy(tensors, sequence.Row * RowLength, HeadLength, tensors, to * RowLength, HeadLength, sequence.Computed);
        rows[sequence.Row] = null;
        rows[to] = sequence;
        sequence.Row = to;
    }

    /// <summary>Grows the buffers until every row has that width.</summary>
    private void Reserve(int neededWidth)
    {
        if (rows.Count <= capacity && neededWidth <= width)
        {
            return;
        }

        int longest = Math.Max(neededWidth, rows.Max(s => s?.Computed ?? 0));
        int newWidth = decoder.Cache.FixedWidth ?? Math.Min(
            decoder.Config.ContextLength, Math.Max(LeastWidth, (int)BitOperations.RoundUpToPowerOf2((uint)longest)));
        int newCapacity = rows.Count > capacity ? Math.Max(rows.Count, 2 * capacity) : capacity;
        long headLength = (long)newWidth * decoder.Cache.HeadSize;
        NativeTensor[] grown = Allocate();
        foreach (NativeTensor tensor in grown)
        {
            tensor.Reserve(newCapacity * decoder.Cache.Heads * headLength);
        }

        foreach (OnnxSequence sequence in rows.OfType<OnnxSequence>())
        {
            Copy(
                tensors, sequence.Row * RowLength, HeadLength, grown, sequence.Row * decoder.Cache.Heads * headLength, headLength, sequence.Computed);
        }

        Replace(grown, newCapacity, newWidth);
    }

    private void Replace(NativeTensor[] other, int newCapacity, int newWidth)
    {
        foreach (NativeTensor tensor in tensors)
        {
            tensor.Dispose();
        }

        bound.Clear();
        (tensors, capacity, width) = (other, newCapacity, newWidth);
    }

    private void Copy(NativeTensor[] from, long source, long sourceHead, NativeTensor[] to, long target, long targetHead, int positions)
    {
        if (positions == 0)
        {
            return;
        }

        long used = (long)positions * decoder.Cache.HeadSize;
        for (int i = 0; i < from.Length; i++)
        {
            for (int head = 0; head < decoder.Cache.Heads; head++)
            {
                from[i].Bytes(source + (head * sourceHead), used).CopyTo(to[i].Bytes(target + (head * targetHead), used));
            }
        }
    }
}
