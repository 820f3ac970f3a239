namespace ProxyTune.Decoding.Fusion;

/// <summary>Where a factor is sought.</summary>
internal readonly record struct Interval(float Minimum, float Maximum)
{
    /// <summary>The factor of a delta that changes nothing.</summary>
    public float Neutral => Math.Clamp(1, Minimum, Maximum);

    public double Nearest(double factor) => Math.Clamp(factor, Minimum, Maximum);
}
