namespace ProxyTune.Checkpoints.Architectures;

/// <summary>Cosines and sines of the rotary embedding, for every position: angle(p, i) = p * theta^(-2i / head size).</summary>
internal static class RotaryTable
{
    /// <param name="headSize">Head size of the table. If it exceeds the model's, angles of 0 fill each half.</param>
    /// <returns>[context, headSize / 2] each.</returns>
    public static (float[] Cos, float[] Sin) Of(DecoderSpec spec, int headSize)
    {
        int half = headSize / 2;
        (float[]? cos, float[]? sin) = (new float[spec.ContextLength * half], new float[spec.ContextLength * half]);
        Array.Fill(cos, 1f);
        for (int i = 0; i < spec.HeadSize / 2; i++)
        {
            double frequency = Math.Pow(spec.RopeTheta, -2.0 * i / spec.HeadSize);
            for (int position = 0; position < spec.ContextLength; position++)
            {
                cos[(position * half) + i] = (float)Math.Cos(position * frequency);
                sin[(position * half) + i] = (float)Math.Sin(position * frequency);
            }
        }

        return (cos, sin);
    }
}
