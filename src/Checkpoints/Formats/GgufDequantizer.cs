using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// Turns stored blocks into float32. Every operation is rounded as in ggml's own C code (ggml-quants.c), so the values are the same to the bit.
/// </summary>
internal static class GgufDequantizer
{
    private const int Size = 32;

    /// <param name="bytes">Whole blocks.</param>
    /// <param name="values">As many elements as the blocks hold.</param>
    public static void Read(GgufType type, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        switch (type)
        {
            case GgufType.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(values));
                return;
            case GgufType.F16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), values);
                return;
            case GgufType.BF16:
                ReadBrainFloats(MemoryMarshal.Cast<byte, ushort>(bytes), values);
                return;
            case GgufType.F64:
                TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(bytes), values);
                return;
            default:
                GgufLayout layout = GgufLayout.Of(type);
                for (int block = 0; block * layout.Bytes < bytes.Length; block++)
                {
                    ReadBlock(type, bytes.Slice(block * layout.Bytes, layout.Bytes), values.Slice(block * layout.Elements, layout.Elements));
                }

                return;
        }
    }

    /// <summary>scale * q for each.</summary>
    public static void Scale(ReadOnlySpan<sbyte> q, float scale, Span<float> values)
    {
        for (int i = 0; i < q.Length; i += Vector128<sbyte>.Count)
        {
            (Vector128<short> lower, Vector128<short> upper) = Vector128.Widen(Vector128.Create(q[i..]));
            Store(Vector256.Create(lower, upper), values[i..]);
        }

        void Store(Vector256<short> wide, Span<float> target)
        {
            (Vector256<int> lower, Vector256<int> upper) = Vector256.Widen(wide);
            (Vector256.ConvertToSingle(lower) * scale).CopyTo(target);
            (Vector256.ConvertToSingle(upper) * scale).CopyTo(target[Vector256<float>.Count..]);
        }
    }

    /// <summary>scale * q - minus for each, rounded after the product and after the difference.</summary>
    public static void ScaleMinus(ReadOnlySpan<byte> q, float scale, float minus, Span<float> values)
    {
        Scale(MemoryMarshal.Cast<byte, sbyte>(q), scale, values);
        TensorPrimitives.Subtract(values[..q.Length], minus, values);
    }

    /// <summary>The lower and the upper halves of bytes.</summary>
    public static void Nibbles(ReadOnlySpan<byte> packed, Span<byte> lower, Span<byte> upper)
    {
        for (int i = 0; i < packed.Length; i += Vector128<byte>.Count)
        {
            Vector128<byte> bytes = Vector128.Create(packed[i..]);
            (bytes & Vector128.Create((byte)15)).CopyTo(lower[i..]);
            (bytes >>> 4).CopyTo(upper[i..]);
        }
    }

    public static float Half(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);

    private static void ReadBlock(GgufType type, ReadOnlySpan<byte> block, Span<float> values)
    {
        switch (type)
        {
            case GgufType.Q8_0:
                Scale(MemoryMarshal.Cast<byte, sbyte>(block[2..]), Half(block), values);
                break;
            case GgufType.Q4_0:
                ReadSmall(block[2..], default, Half(block), 8, 0, values);
                break;
            case GgufType.Q4_1:
                ReadSmall(block[4..], default, Half(block), 0, -Half(block[2..]), values);
                break;
            case GgufType.Q5_0:
                ReadSmall(block[6..], block[2..6], Half(block), 16, 0, values);
                break;
            case GgufType.Q5_1:
                ReadSmall(block[8..], block[4..8], Half(block), 0, -Half(block[2..]), values);
                break;
            case GgufType.Q2_K:
                GgufKBlocks.ReadQ2(block, values);
                break;
            case GgufType.Q3_K:
                GgufKBlocks.ReadQ3(block, values);
                break;
            case GgufType.Q4_K:
                GgufKBlocks.ReadQ4(block, values);
                break;
            case GgufType.Q5_K:
                GgufKBlocks.ReadQ5(block, values);
                break;
            case GgufType.Q6_K:
                GgufKBlocks.ReadQ6(block, values);
                break;
            default:
                throw new ArgumentException($"{type} is not read.", nameof(type));
        }
    }

    /// <summary>A block of 32: bytes that hold element i and element i + 16, and for 5 bits a word with the fifth bit of each.</summary>
    /// <param name="middle">Subtracted from q before it is scaled.</param>
    /// <param name="minus">Subtracted after that; 0 changes nothing.</param>
    private static void ReadSmall(ReadOnlySpan<byte> nibbles, ReadOnlySpan<byte> fifths, float scale, int middle, float minus, Span<float> values)
    {
        Span<byte> q = stackalloc byte[Size];
        Nibbles(nibbles, q, q[(Size / 2)..]);
        if (!fifths.IsEmpty)
        {
            uint bits = BinaryPrimitives.ReadUInt32LittleEndian(fifths);
            for (int i = 0; i < Size; i++)
            {
                q[i] |= (byte)((bits >> i & 1) << 4);
            }
        }

        if (middle == 0)
        {
            ScaleMinus(q, scale, minus, values);
            return;
        }

        TensorPrimitives.Subtract(q, (byte)middle, q);
        Scale(MemoryMarshal.Cast<byte, sbyte>(q), scale, values);
    }

    private static void ReadBrainFloats(ReadOnlySpan<ushort> halves, Span<float> values)
    {
        for (int i = 0; i < halves.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }
    }
}
