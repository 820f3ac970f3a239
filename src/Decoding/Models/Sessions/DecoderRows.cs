using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ProxyTune.Decoding.Models;

/// <summary>The memory for the logits of a model. Each batch has separate memory until it is released; a later batch takes the memory of a released one.</summary>
internal sealed class RowMemory(DecoderSession decoder) : IDisposable
{
    private readonly Lock gate = new();
    private readonly List<DecoderRows> all = [];
    private readonly Stack<DecoderRows> free = [];
    private int versions;

    /// <summary>The batch that the next run writes to.</summary>
    public DecoderRows Current { get; private set; } = null!;

    /// <summary>Starts a batch, which becomes <see cref="Current"/>.</summary>
    /// <param name="rows">The number of requested rows.</param>
    /// <param name="spare">The largest number of other rows that one run writes.</param>
    public DecoderRows Begin(int rows, int spare)
    {
        lock (gate)
        {
            if (!free.TryPop(out DecoderRows? batch))
            {
                all.Add(batch = new(this, decoder));
            }

            Current = batch;
        }

        Current.Begin(rows, spare);
        return Current;
    }

    /// <summary>A number that no other memory of a batch has.</summary>
    public int NextVersion() => ++versions;

    /// <summary>Called when a batch is released. Thread-safe.</summary>
    public void Return(DecoderRows batch)
    {
        lock (gate)
        {
            free.Push(batch);
        }
    }

    public void Dispose() => all.ForEach(static batch => batch.Dispose());
}

/// <summary>
/// The logits of one batch, in memory that ONNX Runtime writes to. Each run writes after the rows of the earlier runs, so that float32 rows
/// need no copy. Rows of float16 and bfloat16 are widened when they are first read.
/// </summary>
internal sealed class DecoderRows(RowMemory memory, DecoderSession decoder) : RowBatch, IDisposable
{
    private readonly NativeTensor logits = new(decoder.Logits.ElementDataType);
    private bool isReturned;
    private int[] places = [];
    private float[][] widened = [];
    private bool[] isWidened = [];
    private int count;

    public override int Count => count;

    public override int Width { get; } = decoder.VocabularySize;

    /// <summary>The number of rows with requested logits. The next run writes after them.</summary>
    public int Next { get; private set; }

    /// <summary>A number that changes with the memory, and differs from those of other batches. Earlier views are then invalid.</summary>
    public int Version { get; private set; }

    /// <summary>Starts a batch, as <see cref="RowMemory.Begin"/> says.</summary>
    public void Begin(int rows, int spare)
    {
        (count, Next, isReturned) = (rows, 0, false);
        if (logits.Reserve(Math.Max(1, (long)(rows + spare) * Width)))
        {
            Version = memory.NextVersion();
        }

        if (places.Length < rows)
        {
            Array.Resize(ref places, rows);
            Array.Resize(ref widened, rows);
            Array.Resize(ref isWidened, rows);
        }

        Array.Clear(isWidened);
    }

    /// <summary>The memory after the requested rows, for a run's output [rows, positions, Width].</summary>
    public OrtValue View(int rows, int positions) => logits.View((long)Next * Width, rows, positions, Width);

    /// <summary>Makes a row of the last run a row of the batch. Rows of one run must be set in the order of the output.</summary>
    /// <param name="index">The index in the batch.</param>
    /// <param name="written">The index in the run's output.</param>
    /// <param name="start">The value of <see cref="Next"/> when the run began.</param>
    public void SetRow(int index, int written, int start)
    {
        if (start + written != Next)
        {
            logits.Bytes((long)(start + written) * Width, Width).CopyTo(logits.Bytes((long)Next * Width, Width));
        }

        places[index] = Next++;
    }

    public override ReadOnlyMemory<float> Row(int index)
    {
        int place = places[index];
        if (logits.Type == TensorElementType.Float)
        {
            return logits.Floats.Slice(place * Width, Width);
        }

        if (!isWidened[index])
        {
            Widen(place, widened[index] ??= new float[Width]);
            isWidened[index] = true;
        }

        return widened[index];
    }

    public void Dispose() => logits.Dispose();

    public override void Release()
    {
        if (!isReturned)
        {
            isReturned = true;
            memory.Return(this);
        }
    }

    private void Widen(int place, Span<float> row)
    {
        if (logits.Type == TensorElementType.Float16)
        {
            TensorPrimitives.ConvertToSingle(logits.Span<Half>((long)place * Width, Width), row);
            return;
        }

        ReadOnlySpan<ushort> upperHalves = logits.Span<ushort>((long)place * Width, Width);
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = BitConverter.UInt32BitsToSingle((uint)upperHalves[i] << 16);
        }
    }
}

/// <summary>Native memory of one element type, filled with zeros. ONNX Runtime reads and writes it in place, through views of any shape.</summary>
/// <param name="isPaged">Whether each page takes physical memory only from its first use until it is discarded. Has an effect on Linux.</param>
internal sealed unsafe partial class NativeTensor(TensorElementType type, bool isPaged = false) : IDisposable
{
    private const int ReadWrite = 3, PrivateAnonymousUnreserved = 0x4022, DontNeed = 4, NoHugePages = 15;

    private readonly bool isMapped = isPaged && OperatingSystem.IsLinux();
    private byte* data;
    private long capacity;
    private FloatMemory? floats;

    public TensorElementType Type { get; } = type;

    public int ElementSize { get; } = SizeOf(type);

    /// <summary>The size of an element in bytes.</summary>
    public static int SizeOf(TensorElementType type) => type switch
    {
        TensorElementType.Float or TensorElementType.Int32 => 4,
        TensorElementType.Int64 => 8,
        TensorElementType.Float16 or TensorElementType.BFloat16 => 2,
        _ => throw new NotSupportedException($"Tensors of type {type} are not supported."),
    };

    /// <summary>Makes room for a number of elements. Growth loses the contents and invalidates earlier views.</summary>
    /// <returns>Whether the memory grew.</returns>
    public bool Reserve(long elements)
    {
        if (elements <= capacity)
        {
            return false;
        }

        // The old memory is released first, so that a failed allocation does not free it twice.
        Dispose();

        // Zeros keep undefined values out of sums.
        data = isMapped ? Map(elements * ElementSize) : (byte*)NativeMemory.AllocZeroed((nuint)elements, (nuint)ElementSize);
        capacity = elements;
        floats = null;
        return true;
    }

    public OrtValue View(long firstElement, params long[] shape)
    {
        long length = shape.Aggregate(1L, (a, b) => a * b);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement + length, capacity);
        nint start = (nint)(data + (firstElement * ElementSize));
        return OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, Type, shape, start, length * ElementSize);
    }

    public Span<T> Span<T>(long firstElement, int length)
        where T : unmanaged => new(data + (firstElement * ElementSize), length);

    /// <summary>All elements of a float32 tensor.</summary>
    public Memory<float> Floats => (floats ??= new((float*)data, checked((int)capacity))).Memory;

    /// <summary>Writes an element of a tensor of 32-bit or 64-bit integers.</summary>
    public void Write(int index, int value)
    {
        if (Type == TensorElementType.Int64)
        {
            Span<long>(index, 1)[0] = value;
        }
        else
        {
            Span<int>(index, 1)[0] = value;
        }
    }

    /// <summary>Writes a value to several elements of a tensor of 32-bit or 64-bit integers.</summary>
    public void Fill(int first, int count, int value)
    {
        if (Type == TensorElementType.Int64)
        {
            Span<long>(first, count).Fill(value);
        }
        else
        {
            Span<int>(first, count).Fill(value);
        }
    }

    public Span<byte> Bytes(long firstElement, long elements)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement + elements, capacity);
        return new(data + (firstElement * ElementSize), checked((int)(elements * ElementSize)));
    }

    /// <summary>Sets the elements of all pages that lie between two elements to zero and returns the pages to the system, if the tensor is paged.</summary>
    public void Discard(long firstElement, long elements)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement + elements, capacity);
        long page = Environment.SystemPageSize, first = (nint)data + (firstElement * ElementSize), end = first + (elements * ElementSize);
        first = (first + page - 1) / page * page;
        if (isMapped && end / page * page > first)
        {
            _ = Advise((nint)first, (nuint)((end / page * page) - first), DontNeed);
        }
    }

    public void Dispose()
    {
        if (isMapped && data != null)
        {
            _ = Unmap((nint)data, (nuint)(capacity * ElementSize));
        }
        else
        {
            NativeMemory.Free(data);
        }

        data = null;
        capacity = 0;
    }

    private static byte* Map(long bytes)
    {
        nint mapped = Map(0, (nuint)bytes, ReadWrite, PrivateAnonymousUnreserved, -1, 0);
        // A huge page would take memory for tokens that the sequence does not have.
        _ = mapped == -1 ? throw new InsufficientMemoryException($"The system gives no {bytes} bytes of address space.") : Advise(mapped, (nuint)bytes, NoHugePages);
        return (byte*)mapped;
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);

    /// <summary>Native memory as <see cref="Memory{T}"/>; the tensor owns it.</summary>
    private sealed class FloatMemory(float* start, int length) : MemoryManager<float>
    {
        public override Span<float> GetSpan() => new(start, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(start + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
