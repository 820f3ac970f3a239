using System.Numerics.Tensors;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// Rows of a quantised GGUF tensor as MatMulNBits reads them, with the very integers and scales of the file:
/// w = scale * (q - middle) + offset, rounded after each operation.
/// </summary>
/// <param name="Blocks">q without sign and the scales, in blocks of 32 inputs.</param>
/// <param name="Middle">Subtracted from q: 8 of 4 bits and 128 of 8 bits, which MatMulNBits takes without zero points, or 0.</param>
/// <param name="Offsets">[outputs, blocks]: added to every weight of the block; null for none. MatMulNBits has no such input; see <see cref="WithZeroPoints"/>.</param>
internal sealed record KeptBlocks(BlockQuantization Blocks, int Middle, float[]? Offsets)
{
    private const int Size = BlockQuantization.BlockSize;

    /// <summary>Whether the type has such a form; other types are dequantised.</summary>
    public static bool Has(GgufType type) => type is GgufType.Q4_0 or GgufType.Q4_1 or GgufType.Q4_K or GgufType.Q8_0;

    /// <param name="rows">Whole rows as the file stores them.</param>
    public static KeptBlocks Of(GgufType type, ReadOnlySpan<byte> rows)
    {
        if (!Has(type))
        {
            throw new ArgumentException($"{type} has no form for MatMulNBits.", nameof(type));
        }

        GgufLayout layout = GgufLayout.Of(type);
        int bits = type == GgufType.Q8_0 ? 8 : 4, bytes = BlockQuantization.BytesOf(bits), parts = layout.Elements / Size, count = rows.Length / layout.Bytes * parts;
        BlockQuantization blocks = new(bits, new byte[(long)count * bytes], new float[count]);
        float[]? offsets = type is GgufType.Q4_1 or GgufType.Q4_K ? new float[count] : null;
        Span<byte> q = stackalloc byte[Size];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> block = rows.Slice(i / parts * layout.Bytes, layout.Bytes);
            (blocks.Scales[i], float offset) = Read(type, block, i % parts, q);
            if (offsets is not null)
            {
                offsets[i] = offset;
            }

            Pack(q, bits, blocks.Values.AsSpan(i * bytes, bytes));
        }

        return new(blocks, offsets is not null ? 0 : bits == 8 ? 128 : 8, offsets);
    }

    /// <summary>What the form stands for, computed as its definition says.</summary>
    public float[] Dequantize()
    {
        float[] values = new float[Blocks.Scales.Length * Size];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (Blocks.Scales[i / Size] * (Value(i) - Middle)) + (Offsets?[i / Size] ?? 0);
        }

        return values;
    }

    /// <summary>
    /// The form with float zero points, w = scale * (q - zero point), which MatMulNBits takes. A zero point such as -offset / scale is not a float,
    /// so weights differ by their rounding: a few units in the last place of the block's largest weight. Nothing is quantised anew.
    /// </summary>
    /// <returns>The blocks, [outputs, blocks] zero points, and the largest difference to <see cref="Dequantize"/>.</returns>
    public (BlockQuantization Blocks, float[] ZeroPoints, float Deviation) WithZeroPoints()
    {
        BlockQuantization result = Blocks with { Values = [.. Blocks.Values], Scales = [.. Blocks.Scales] };
        float[] zeros = new float[result.Scales.Length];
        int bytes = BlockQuantization.BytesOf(Blocks.Bits);
        for (int block = 0; block < zeros.Length; block++)
        {
            float offset = Offsets?[block] ?? 0;
            if (result.Scales[block] == 0 && offset != 0)
            {
                // All weights are the offset: offset * (1 - 0), with every q at 1.
                result.Scales[block] = offset;
                result.Values.AsSpan(block * bytes, bytes).Fill((byte)(Blocks.Bits == 8 ? 1 : 0x11));
                continue;
            }

            zeros[block] = offset == 0 ? Middle : Middle - (offset / result.Scales[block]);
        }

        KeptBlocks moved = new(result, 0, null);
        float[] expected = Dequantize();
        float deviation = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            deviation = Math.Max(deviation, Math.Abs((result.Scales[i / Size] * (moved.Value(i) - zeros[i / Size])) - expected[i]));
        }

        return (result, zeros, deviation);
    }

    /// <param name="part">Which 32 elements of the block.</param>
    private static (float Scale, float Offset) Read(GgufType type, ReadOnlySpan<byte> block, int part, Span<byte> q)
    {
        switch (type)
        {
            case GgufType.Q8_0:
                // GGUF has a sign, MatMulNBits has none.
                TensorPrimitives.Xor(block[2..], (byte)128, q);
                return (GgufDequantizer.Half(block), 0);
            case GgufType.Q4_K:
                Span<byte> pair = stackalloc byte[2 * Size];
                GgufDequantizer.Nibbles(block.Slice(GgufKBlocks.ScalesStart + GgufKBlocks.ScalesBytes + (part / 2 * Size), Size), pair, pair[Size..]);
                pair.Slice(part % 2 * Size, Size).CopyTo(q);
                (float scale, float minus) = GgufKBlocks.ScaleOf(block, part);
                return (scale, -minus);
            default:
                bool hasMinimum = type == GgufType.Q4_1;
                GgufDequantizer.Nibbles(block[(hasMinimum ? 4 : 2)..], q, q[(Size / 2)..]);
                return (GgufDequantizer.Half(block), hasMinimum ? GgufDequantizer.Half(block[2..]) : 0);
        }
    }

    private static void Pack(ReadOnlySpan<byte> q, int bits, Span<byte> bytes)
    {
        if (bits == 8)
        {
            q.CopyTo(bytes);
            return;
        }

        // A byte holds two neighbours, where GGUF has an element and the one half a block further.
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(q[2 * i] | q[(2 * i) + 1] << 4);
        }
    }

    private int Value(int i) => Blocks.Bits == 8 ? Blocks.Values[i] : Blocks.Values[i / 2] >> (i % 2 * 4) & 15;
}
