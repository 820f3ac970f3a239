using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ProxyTune.Decoding.Models;

/// <summary>Native memory of one element type that ONNX Runtime reads and writes in place, through views of any shape.</summary>
internal sealed unsafe class NativeTensor(TensorElementType type) : IDisposable
{
    private byte* data;
    private long capacity;
    private FloatMemory? floats;

    public TensorElementType Type { get; } = type;

    public int ElementSize { get; } = SizeOf(type);

    /// <summary>Bytes of an element.</summary>
    public static int SizeOf(TensorElementType type) => type switch
    {
        TensorElementType.Float or TensorElementType.Int32 => 4,
        TensorElementType.Int64 => 8,
        TensorElementType.Float16 or TensorElementType.BFloat16 => 2,
        _ => throw new NotSupportedException($"Tensors of type {type} are not supported."),
    };

    /// <summary>Makes room for that many elements; when it has to grow, the contents are lost and earlier views are invalid.</summary>
    /// <returns>Whether it grew.</returns>
    public bool Reserve(long elements)
    {
        if (elements <= capacity)
        {
            return false;
        }

        // Nothing is left to free twice when there is no memory for more.
        Dispose();

        // Zeroed: nothing undefined can reach a sum, and large zeroed memory is not real before it is written.
        data = (byte*)NativeMemory.AllocZeroed((nuint)elements, (nuint)ElementSize);
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

    /// <summary>All of a tensor of float32.</summary>
    public Memory<float> Floats => (floats ??= new((float*)data, checked((int)capacity))).Memory;

    /// <summary>Of a tensor of integers, 32 or 64 bits wide.</summary>
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

    public Span<byte> Bytes(long firstElement, long elements)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement + elements, capacity);
        return new(data + (firstElement * ElementSize), checked((int)(elements * ElementSize)));
    }

    public void Dispose()
    {
        NativeMemory.Free(data);
        data = null;
        capacity = 0;
    }

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
