namespace ProxyTune.Checkpoints.Architectures;

/// <summary>Cosines and sines of the rotary embedding, for every position: angle(p, i) = p * theta^(-2i / head size).</summary>
internal static class RotaryCache
{
    /// <param name="headSize">Of the cache; where it is more than the model's, each half of the pair is filled up with an angle of 0.</param>
    /// <returns>[context, headSize / 2] each.</returns>
    public static (float[] Cos, float[] Sin) Build(CheckpointConfig config, int headSize)
    {
        int half = headSize / 2;
        (float[]? cos, float[]? sin) = (new float[config.ContextLength * half], new float[config.ContextLength * half]);
        Array.Fill(cos, 1f);
        for (int i = 0; i < config.HeadSize / 2; i++)
        {
            double frequency = Math.Pow(config.RopeTheta, -2.0 * i / config.HeadSize);
            for (int position = 0; position < config.ContextLength; position++)
            {
                cos[(position * half) + i] = (float)Math.Cos(position * frequency);
                sin[(position * half) + i] = (float)Math.Sin(position * frequency);
            }
        }

        return (cos, sin);
    }
}
