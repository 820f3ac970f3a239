using System.Runtime.InteropServices;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>The K types of ggml: blocks of 256 elements in groups of 16 or 32, whose scales are small integers times a scale of the block (ggml-quants.c).</summary>
internal static class GgufKBlocks
{
    public const int Size = 256;

    private const int Group = 16;

    /// <summary>Groups of 32 of Q4_K and Q5_K.</summary>
    public const int WideGroup = 32;

    /// <summary>Bytes of the 8 scales and 8 minimums of Q4_K and Q5_K, 6 bits each; they follow the scale and the minimum of the block.</summary>
    public const int ScalesStart = 4, ScalesBytes = 12;

    public static void ReadQ2(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block[..16], packed = block.Slice(16, 64);
        float scale = GgufDequantizer.Half(block[80..]), minimum = GgufDequantizer.Half(block[82..]);
        Span<byte> q = stackalloc byte[Group];
        for (int group = 0; group < Size / Group; group++)
        {
            // Each half of the block has 32 bytes; two bits of each byte for each 32 elements.
            ReadOnlySpan<byte> bytes = packed.Slice((group / 8 * 32) + (group % 2 * Group), Group);
            int shift = group % 8 / 2 * 2;
            for (int i = 0; i < Group; i++)
            {
                q[i] = (byte)(bytes[i] >> shift & 3);
            }

            GgufDequantizer.ScaleMinus(q, scale * (scales[group] & 15), minimum * (scales[group] >> 4), values[(group * Group)..]);
        }
    }

    public static void ReadQ3(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> highs = block[..32], packed = block.Slice(32, 64), scales = block.Slice(96, 12);
        float scale = GgufDequantizer.Half(block[108..]);
        Span<sbyte> q = stackalloc sbyte[Group];
        for (int group = 0; group < Size / Group; group++)
        {
            int start = group % 2 * Group, shift = group % 8 / 2 * 2, high = group / 2;
            ReadOnlySpan<byte> bytes = packed.Slice((group / 8 * 32) + start, Group);
            for (int i = 0; i < Group; i++)
            {
                q[i] = (sbyte)((bytes[i] >> shift & 3) - ((highs[start + i] >> high & 1) == 0 ? 4 : 0));
            }

            // 6 bits: the lower four of 16 scales in 8 bytes, the upper two in the last 4.
            int lower = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
            int upper = scales[8 + (group % 4)] >> (group / 4 * 2) & 3;
            GgufDequantizer.Scale(q, scale * ((lower | upper << 4) - 32), values[(group * Group)..]);
        }
    }

    public static void ReadQ4(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> packed = block[(ScalesStart + ScalesBytes)..];
        Span<byte> q = stackalloc byte[2 * WideGroup];
        for (int pair = 0; pair < Size / q.Length; pair++)
        {
            GgufDequantizer.Nibbles(packed.Slice(pair * WideGroup, WideGroup), q, q[WideGroup..]);
            ReadPair(block, pair, q, values);
        }
    }

    public static void ReadQ5(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> highs = block.Slice(ScalesStart + ScalesBytes, 32), packed = block[(ScalesStart + ScalesBytes + 32)..];
        Span<byte> q = stackalloc byte[2 * WideGroup];
        for (int pair = 0; pair < Size / q.Length; pair++)
        {
            GgufDequantizer.Nibbles(packed.Slice(pair * WideGroup, WideGroup), q, q[WideGroup..]);
            for (int i = 0; i < WideGroup; i++)
            {
                q[i] |= (byte)((highs[i] >> (2 * pair) & 1) << 4);
                q[WideGroup + i] |= (byte)((highs[i] >> ((2 * pair) + 1) & 1) << 4);
            }

            ReadPair(block, pair, q, values);
        }
    }

    public static void ReadQ6(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> lows = block[..128], highs = block.Slice(128, 64);
        ReadOnlySpan<sbyte> scales = MemoryMarshal.Cast<byte, sbyte>(block.Slice(192, 16));
        float scale = GgufDequantizer.Half(block[208..]);
        Span<sbyte> q = stackalloc sbyte[Group];
        for (int group = 0; group < Size / Group; group++)
        {
            // Each half of the block: 64 bytes with the lower four bits of element i and i + 64, 32 bytes with the upper two of i, i + 32, i + 64, i + 96.
            int place = group % 8 * Group;
            ReadOnlySpan<byte> low = lows.Slice((group / 8 * 64) + (place % 64), Group), high = highs.Slice((group / 8 * 32) + (place % 32), Group);
            int lowShift = place / 64 * 4, highShift = place / 32 * 2;
            for (int i = 0; i < Group; i++)
            {
                q[i] = (sbyte)(((low[i] >> lowShift & 15) | (high[i] >> highShift & 3) << 4) - 32);
            }

            GgufDequantizer.Scale(q, scale * scales[group], values[(group * Group)..]);
        }
    }

    /// <summary>The scale of a group of 32 of Q4_K and Q5_K, and what is subtracted.</summary>
    public static (float Scale, float Minus) ScaleOf(ReadOnlySpan<byte> block, int group)
    {
        ReadOnlySpan<byte> scales = block.Slice(ScalesStart, ScalesBytes);
        int scale = group < 4 ? scales[group] & 63 : (scales[group + 4] & 15) | (scales[group - 4] >> 6 << 4);
        int minimum = group < 4 ? scales[group + 4] & 63 : (scales[group + 4] >> 4) | (scales[group] >> 6 << 4);
        return (GgufDequantizer.Half(block) * scale, GgufDequantizer.Half(block[2..]) * minimum);
    }

    private static void ReadPair(ReadOnlySpan<byte> block, int pair, ReadOnlySpan<byte> q, Span<float> values)
    {
        for (int half = 0; half < 2; half++)
        {
            int group = (2 * pair) + half;
            (float scale, float minus) = ScaleOf(block, group);
            GgufDequantizer.ScaleMinus(q.Slice(half * WideGroup, WideGroup), scale, minus, values[(group * WideGroup)..]);
        }
    }
}
