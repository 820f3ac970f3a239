namespace ProxyTune.Checkpoints.Architectures;

/// <summary>A kind of rotary positions.</summary>
/// <param name="Theta">The base of the angles; above 1.</param>
/// <param name="Scaling">The change of the frequencies; null for theta^(-2i / dimensions).</param>
public sealed record RopeSpec(double Theta, RopeScaling? Scaling = null);

/// <summary>Cosines and sines of the rotary embedding, for every position: angle(p, i) = p * frequency(i).</summary>
internal static class RotaryTable
{
    /// <param name="headSize">Head size of the table. Pairs of dimensions that do not rotate have the angle 0.</param>
    /// <returns>[context, headSize / 2] each. With <see cref="LongRopeScaling"/> [2 * context, headSize / 2]: a second table for long texts follows.</returns>
    public static (float[] Cos, float[] Sin) Of(DecoderSpec spec, int headSize) => Of(spec.Rope, spec, headSize);

    public static (float[] Cos, float[] Sin) Of(RopeSpec rope, DecoderSpec spec, int headSize)
    {
        int rotary = spec.RotarySize ?? spec.HeadSize;
        double[][] tables = rope.Scaling switch
        {
            null => [RopeScaling.Plain(rope.Theta, rotary)],
            LongRopeScaling both => [both.Frequencies(rope.Theta, rotary), both.LongFrequencies(rope.Theta, rotary)],
            { } scaling => [scaling.Frequencies(rope.Theta, rotary)],
        };
        int half = headSize / 2;
        double factor = rope.Scaling?.AttentionFactor ?? 1;
        (float[] cos, float[] sin) = (new float[tables.Length * spec.ContextLength * half], new float[tables.Length * spec.ContextLength * half]);
        Array.Fill(cos, 1f);
        for (int row = 0; row < tables.Length * spec.ContextLength; row++)
        {
            (double[] frequencies, int position) = (tables[row / spec.ContextLength], row % spec.ContextLength);
            for (int i = 0; i < frequencies.Length; i++)
            {
                // transformers rounds the angles of long texts to float32, which shows at scaled ones. The plain table stays that of earlier exports.
                double angle = rope.Scaling is null ? position * frequencies[i] : position * (float)frequencies[i];
                cos[(row * half) + i] = (float)(factor * Math.Cos(angle));
                sin[(row * half) + i] = (float)(factor * Math.Sin(angle));
            }
        }

        return (cos, sin);
    }
}
