namespace ProxyTune.Checkpoints.Architectures;

/// <summary>How the rotary frequencies differ from theta^(-2i / dimensions). Sources: the named papers, and modeling_rope_utils.py of transformers 5.</summary>
public abstract record RopeScaling
{
    /// <summary>The factor of cosines and sines. The scores of attention have its square.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>The frequencies of the pairs of dimensions, in radians for each position.</summary>
    /// <param name="dimensions">The number of rotated dimensions; even.</param>
    public abstract double[] Frequencies(double theta, int dimensions);

    /// <summary>theta^(-2i / dimensions): RoFormer (arXiv 2104.09864).</summary>
    public static double[] Plain(double theta, int dimensions) => [.. Enumerable.Range(0, dimensions / 2).Select(i => Math.Pow(theta, -2.0 * i / dimensions))];
}

/// <summary>Position interpolation (arXiv 2306.15595): all frequencies are divided by a factor.</summary>
internal sealed record LinearScaling(double Factor) : RopeScaling
{
    public override double[] Frequencies(double theta, int dimensions) => [.. Plain(theta, dimensions).Select(frequency => frequency / Factor)];
}

/// <summary>Llama 3.1: low frequencies are divided by a factor, high ones stay, and those between them are interpolated.</summary>
/// <param name="Low">The number of turns within <paramref name="OriginalContext"/> below which a frequency is low.</param>
/// <param name="High">The number of turns above which it is high.</param>
internal sealed record Llama3Scaling(double Factor, double Low, double High, int OriginalContext) : RopeScaling
{
    public override double[] Frequencies(double theta, int dimensions) => [.. Plain(theta, dimensions).Select(frequency =>
    {
        double turns = OriginalContext * frequency / (2 * Math.PI), high = Math.Clamp((turns - Low) / (High - Low), 0, 1);
        return ((1 - high) * frequency / Factor) + (high * frequency);
    })];
}

/// <summary>YaRN (arXiv 2309.00071): the dimensions with few turns are interpolated, those with many turns stay, with a ramp over dimensions.</summary>
/// <param name="Fast">The number of turns within <paramref name="OriginalContext"/> at which the ramp begins.</param>
/// <param name="Slow">The number of turns at which it ends.</param>
/// <param name="IsTruncated">Whether the ends of the ramp are whole dimensions.</param>
internal sealed record YarnScaling(double Factor, double Fast, double Slow, bool IsTruncated, int OriginalContext) : RopeScaling
{
    // The ramp of a range without a width, as in transformers.
    private const double LeastWidth = 0.001;

    public override double[] Frequencies(double theta, int dimensions)
    {
        (double from, double to) = (Dimension(Fast), Dimension(Slow));
        (from, to) = IsTruncated ? (Math.Floor(from), Math.Ceiling(to)) : (from, to);
        (from, to) = (Math.Max(from, 0), Math.Min(to, dimensions - 1));
        double width = from == to ? LeastWidth : to - from;
        return [.. Plain(theta, dimensions).Select((frequency, i) =>
        {
            double interpolated = Math.Clamp((i - from) / width, 0, 1);
            return (interpolated * frequency / Factor) + ((1 - interpolated) * frequency);
        })];

        double Dimension(double turns) => dimensions * Math.Log(OriginalContext / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <summary>The usual attention factor of a scale: 0.1 m ln(scale) + 1.</summary>
    public static double Temperature(double scale, double m = 1) => scale <= 1 ? 1 : (0.1 * m * Math.Log(scale)) + 1;
}

/// <summary>LongRoPE (arXiv 2402.13753): each frequency has a divisor of its own, one for texts up to the original context and one for longer texts.</summary>
/// <remarks>Keys that were rotated with both kinds must not meet. So the kind belongs to a sequence, not to a position.</remarks>
internal sealed record LongRopeScaling(IReadOnlyList<double> Short, IReadOnlyList<double> Long, int OriginalContext) : RopeScaling
{
    public override double[] Frequencies(double theta, int dimensions) => Divided(theta, dimensions, Short);

    public double[] LongFrequencies(double theta, int dimensions) => Divided(theta, dimensions, Long);

    /// <summary>The usual attention factor: sqrt(1 + ln(scale) / ln(original context)).</summary>
    public static double Temperature(double scale, int originalContext) => scale <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(scale) / Math.Log(originalContext)));

    private static double[] Divided(double theta, int dimensions, IReadOnlyList<double> divisors) =>
        [.. Plain(theta, dimensions).Zip(divisors, (frequency, divisor) => frequency / divisor)];
}
