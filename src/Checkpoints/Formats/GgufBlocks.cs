using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Writes elements as GGUF stores them. Quantised values are the same as in our graphs; only their scales are rounded to 16 bits.</summary>
internal static class GgufBlocks
{
    public const int Size = BlockQuantization.BlockSize;

    public static int BytesOf(GgufType type) => sizeof(ushort) + (type == GgufType.Q4_0 ? Size / 2 : Size);

    /// <param name="columns">Columns of the tensor; a multiple of 32 if it is quantised.</param>
    public static byte[] Of(GgufType type, ReadOnlySpan<float> values, int columns) => type == GgufType.F32
        ? MemoryMarshal.AsBytes(values).ToArray()
        : Interleave(type, BlockQuantization.Of(values, columns, type == GgufType.Q4_0 ? 4 : 8));

    private static byte[] Interleave(GgufType type, BlockQuantization blocks)
    {
        int bytes = BytesOf(type), given = BlockQuantization.BytesOf(blocks.Bits);
        byte[] result = new byte[blocks.Scales.Length * bytes];
        for (int i = 0; i < blocks.Scales.Length; i++)
        {
            ReadOnlySpan<byte> values = blocks.Values.AsSpan(i * given, given);
            Span<byte> block = result.AsSpan(i * bytes, bytes);
            BinaryPrimitives.WriteHalfLittleEndian(block, (Half)blocks.Scales[i]);
            block = block[sizeof(ushort)..];
            if (type == GgufType.Q8_0)
            {
                // Our graphs store values without a sign, GGUF stores them with one.
                for (int j = 0; j < Size; j++)
                {
                    block[j] = (byte)(values[j] - 128);
                }

                continue;
            }

            // A byte holds two neighbours in our graphs. In GGUF it holds an element and the one half a block further.
            for (int j = 0; j < Size / 2; j++)
            {
                block[j] = (byte)(Nibble(values, j) | (Nibble(values, j + (Size / 2)) << 4));
            }
        }

        return result;
    }

    private static int Nibble(ReadOnlySpan<byte> values, int i) => (values[i / 2] >> (i % 2 * 4)) & 15;
}
