using System.Numerics.Tensors;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// A linear weight [outputs, inputs] in blocks of inputs, as MatMulNBits reads it: w = scale * (q - middle), with q of 4 or 8 bits without sign
/// and the middle 8 or 128.
/// </summary>
/// <param name="Values">[outputs, blocks, bytes of a block]; of 4-bit values the first of two lies in the lower half of the byte.</param>
/// <param name="Scales">[outputs, blocks].</param>
internal sealed record BlockQuantization(int Bits, byte[] Values, float[] Scales)
{
    /// <summary>Inputs that share a scale.</summary>
    public const int BlockSize = 32;

    public static BlockQuantization Of(ReadOnlySpan<float> weight, int inputs, int bits)
    {
        int outputs = weight.Length / inputs, blocks = BlocksOf(inputs), bytes = BytesOf(bits);
        BlockQuantization result = new(bits, new byte[(long)outputs * blocks * bytes], new float[outputs * blocks]);
        for (int output = 0; output < outputs; output++)
        {
            for (int block = 0; block < blocks; block++)
            {
                int start = block * BlockSize, place = (output * blocks) + block;
                ReadOnlySpan<float> values = weight.Slice((output * inputs) + start, Math.Min(BlockSize, inputs - start));
                result.Scales[place] = Quantize(values, bits, result.Values.AsSpan(place * bytes, bytes));
            }
        }

        return result;
    }

    public static int BlocksOf(int inputs) => (inputs + BlockSize - 1) / BlockSize;

    public static int BytesOf(int bits) => BlockSize * bits / 8;

    /// <summary>The range of q is one longer below the middle than above, so the largest value gets the sign that reaches its end.</summary>
    /// <returns>The scale.</returns>
    private static float Quantize(ReadOnlySpan<float> values, int bits, Span<byte> bytes)
    {
        int middle = 1 << (bits - 1);
        float scale = values[TensorPrimitives.IndexOfMaxMagnitude(values)] / -middle;
        for (int i = 0; i < BlockSize; i++)
        {
            // Beyond the last input: zero.
            float steps = i < values.Length && scale != 0 ? values[i] / scale : 0;
            int q = Math.Clamp((int)MathF.Round(steps) + middle, 0, (2 * middle) - 1);
            bytes[i * bits / 8] |= (byte)(q << (i * bits % 8));
        }

        return scale;
    }
}
