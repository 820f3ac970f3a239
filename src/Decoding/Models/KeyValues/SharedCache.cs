using System.Numerics;
using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Keys and values in place: past and present are the same rows of one buffer per layer and kind, [rows, heads, width, head size], and a
/// run sees the rows of its sequences as one tensor.
/// </summary>
/// <remarks>
/// All rows have one width in address space, that of the longest sequence, so that any of them can decode together. A row takes physical memory only up to the
/// width of its own sequence, which doubles when it is too small, within the sequence's reservation. Rows and width of the buffers grow with the
/// sequences; the used part is copied. An empty cache holds no memory.
/// </remarks>
internal sealed class SharedCache : KeyValueCache
{
    private readonly List<OnnxSequence?> rows = [];
    private readonly Dictionary<OrtIoBinding, (int First, int Count)> bound = [];
    private readonly Dictionary<OrtIoBinding, int[]> boundRows = [];
    private NativeTensor[] tensors;
    private int capacity;
    private int width;

    public SharedCache(DecoderSession decoder, KeyValueMemory memory)
        : base(decoder, memory)
    {
        tensors = Allocate(0, 0);
    }

    public override bool Batches => true;

    /// <summary>The numbers of rows and positions of the buffers.</summary>
    public (int Rows, int Width) Extent => (capacity, width);

    private int HeadSize => Decoder.Cache.HeadSize;

    /// <summary>The bytes that the rows take up to the widths of their sequences.</summary>
    private long Used => Sequences.Sum(s => (long)s.Width) * Size.TokenBytes;

    private long RowLength => (long)Heads * width * HeadSize;

    public override void Bind(OrtIoBinding binding, List<OnnxSequence> batch, int positions)
    {
        // A row without computed positions may lie beyond the buffers before.
        Reserve(batch, positions);
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
            using OrtValue view = tensors[i].View(first * RowLength, batch.Count, Heads, width, HeadSize);
            binding.BindInput(Decoder.CacheNames[i].Past, view);
            binding.BindOutput(Decoder.CacheNames[i].Present, view);
        }
    }

    /// <summary>Binds past and present of each sequence separately. Each then has room for its <see cref="OnnxSequence.Input"/>.</summary>
    /// <param name="names">The names of the tensors, one sequence after the other.</param>
    public void BindEach(OrtIoBinding binding, IReadOnlyList<OnnxSequence> batch, IReadOnlyList<CacheName> names)
    {
        Reserve(batch);
        if (!boundRows.TryGetValue(binding, out int[]? places))
        {
            boundRows[binding] = places = [.. Enumerable.Repeat(-1, batch.Count)];
        }

        for (int s = 0; s < batch.Count; s++)
        {
            if (places[s] == batch[s].Row)
            {
                continue;
            }

            places[s] = batch[s].Row;
            for (int i = 0; i < tensors.Length; i++)
            {
                using OrtValue view = tensors[i].View(places[s] * RowLength, 1, Heads, width, HeadSize);
                CacheName name = names[(s * tensors.Length) + i];
                binding.BindInput(name.Past, view);
                binding.BindOutput(name.Present, view);
            }
        }
    }

    public override void Forget(OrtIoBinding binding)
    {
        bound.Remove(binding);
        boundRows.Remove(binding);
    }

    public override void Advance(List<OnnxSequence> batch) => batch.ForEach(s => s.Advance());

    public override void Truncate(OnnxSequence sequence, int length) => sequence.Truncate(length);

    public override void Extend(OnnxSequence sequence, int length) => Reserve([sequence], length);

    public override Span<byte> Bytes(OnnxSequence sequence, int tensor, int head, int position, int count) =>
        Bytes(tensors[tensor], width, sequence.Row, head, position, count);

    public override void Dispose()
    {
        Replace([], 0, 0);
        base.Dispose();
    }

    protected override void Place(OnnxSequence sequence)
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

    protected override void Displace(OnnxSequence sequence)
    {
        if (sequence.Row < capacity)
        {
            Discard(sequence.Row);
        }

        sequence.Width = 0;
        rows[sequence.Row] = null;
        while (rows.Count > 0 && rows[^1] is null)
        {
            rows.RemoveAt(rows.Count - 1);
        }

        if (rows.Count == 0)
        {
            Replace(Allocate(0, 0), 0, 0);
        }

        Account.Use(Used);
    }

    private NativeTensor[] Allocate(int newCapacity, int newWidth)
    {
        NativeTensor[] allocated = [.. Decoder.CacheNames.Select(_ => new NativeTensor(Type, isPaged: true))];
        try
        {
            Array.ForEach(allocated, tensor => tensor.Reserve((long)newCapacity * Heads * newWidth * HeadSize));
            return allocated;
        }
        catch
        {
            Array.ForEach(allocated, tensor => tensor.Dispose());
            throw;
        }
    }

    /// <summary>Moves the rows of the batch next to each other.</summary>
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
            if (rows[row] is not { } there || !members.Contains(there))
            {
                Swap(row, batch.First(s => s.Row >= batch.Count).Row);
            }
        }
    }

    private void Swap(int row, int other)
    {
        int positions = Math.Max(rows[row]?.Computed ?? 0, rows[other]?.Computed ?? 0);
        byte[] kept = new byte[positions * HeadSize * tensors[0].ElementSize];
        foreach (NativeTensor tensor in tensors)
        {
            for (int head = 0; head < Heads; head++)
            {
                Span<byte> here = Bytes(tensor, width, row, head, 0, positions), there = Bytes(tensor, width, other, head, 0, positions);
                here.CopyTo(kept);
                there.CopyTo(here);
                kept.CopyTo(there);
            }
        }

        (rows[row], rows[other]) = (rows[other], rows[row]);
        Number();
        DiscardRest(row, positions);
        DiscardRest(other, positions);
    }

    /// <summary>Returns the memory of a row's positions after its sequence, up to <paramref name="end"/>.</summary>
    private void DiscardRest(int row, int end)
    {
        int computed = rows[row]?.Computed ?? 0;
        foreach (NativeTensor tensor in tensors)
        {
            for (int head = 0; head < Heads && computed < end; head++)
            {
                tensor.Discard((row * RowLength) + ((((long)head * width) + computed) * HeadSize), (long)(end - computed) * HeadSize);
            }
        }
    }

    /// <summary>Returns the memory of a row.</summary>
    private void Discard(int row) => Array.ForEach(tensors, tensor => tensor.Discard(row * RowLength, RowLength));

    /// <summary>Makes room for the rows of a batch.</summary>
    /// <param name="positions">The number of positions after those of each sequence; null for its <see cref="OnnxSequence.Input"/>.</param>
    private void Reserve(IReadOnlyList<OnnxSequence> batch, int? positions = null)
    {
        int longest = 0;
        bool isWider = false;
        for (int i = 0; i < batch.Count; i++)
        {
            OnnxSequence sequence = batch[i];
            int needed = sequence.Computed + (positions ?? sequence.Input.Length);
            longest = Math.Max(longest, needed);
            if (needed > sequence.Width)
            {
                sequence.Width = Math.Min(Size.Width(sequence.MaxLength), Size.Width((int)BitOperations.RoundUpToPowerOf2((uint)needed)));
                isWider = true;
            }
        }

        if (longest > width || rows.Count > capacity)
        {
            Resize((int)BitOperations.RoundUpToPowerOf2((uint)Sequences.Count), Sequences.Max(s => s.Width));
        }
        else if (isWider)
        {
            Account.Use(Used);
        }
    }

    /// <summary>Copies the used rows without gaps into buffers of a new size.</summary>
    private void Resize(int newCapacity, int newWidth)
    {
        // While a tensor is copied, the old one exists too.
        Account.Use(Used + (Account.Used / Size.Tensors));
        NativeTensor[] larger = Allocate(newCapacity, newWidth);
        OnnxSequence[] kept = [.. rows.OfType<OnnxSequence>()];
        for (int i = 0; i < tensors.Length; i++)
        {
            for (int row = 0; row < kept.Length; row++)
            {
                for (int head = 0; head < Heads && kept[row].Computed > 0; head++)
                {
                    Bytes(tensors[i], width, kept[row].Row, head, 0, kept[row].Computed)
                        .CopyTo(Bytes(larger[i], newWidth, row, head, 0, kept[row].Computed));
                }
            }

            tensors[i].Dispose();
        }

        rows.Clear();
        rows.AddRange(kept);
        Number();
        Replace(larger, newCapacity, newWidth);
        Account.Use(Used);
    }

    private void Number()
    {
        for (int row = 0; row < rows.Count; row++)
        {
            if (rows[row] is { } sequence)
            {
                sequence.Row = row;
            }
        }
    }

    private void Replace(NativeTensor[] other, int newCapacity, int newWidth)
    {
        Array.ForEach(tensors, tensor => tensor.Dispose());
        bound.Clear();
        boundRows.Clear();
        (tensors, capacity, width) = (other, newCapacity, newWidth);
    }

    private Span<byte> Bytes(NativeTensor tensor, int tensorWidth, int row, int head, int position, int count) =>
        tensor.Bytes((((((long)row * Heads) + head) * tensorWidth) + position) * HeadSize, (long)count * HeadSize);
}
