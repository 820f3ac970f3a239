using System.Diagnostics.CodeAnalysis;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Fusion;

/// <summary>The options of dynamic logit fusion. See <see cref="DynamicFusion"/> for the equations.</summary>
public sealed record DynamicOptions
{
    public const float MaxMaximum = 10;

    /// <summary>The mode. Default <see cref="DynamicMode.Single"/>, the paper's rule.</summary>
    public DynamicMode Mode { get; init; } = DynamicMode.Single;

    /// <summary>The search. Default <see cref="DynamicSearch.ClosedForm"/>.</summary>
    public DynamicSearch Search { get; init; } = DynamicSearch.ClosedForm;

    /// <summary>
    /// The smallest factor, from 0 to <see cref="Maximum"/>. Default 0, as in the paper. An expert that was tuned for a strength (consistent
    /// proxy-tuning) should not be weaker than that.
    /// </summary>
    public float Minimum { get; init; }

    /// <summary>The largest factor, above 0 and at most <see cref="MaxMaximum"/>. Default 2, as in the paper.</summary>
    public float Maximum { get; init; } = 2;

    /// <exception cref="EngineException">InvalidValue: <see cref="Maximum"/> or <see cref="Minimum"/> is outside its range.</exception>
    public void Check()
    {
        RangeCheck.Between("maximum", Maximum, float.Epsilon, MaxMaximum, $"above 0 and at most {MaxMaximum}");
        RangeCheck.Between("minimum", Minimum, 0, Maximum, FormattableString.Invariant($"from 0 to the maximum, {Maximum}"));
    }
}

public enum DynamicMode
{
    /// <summary>One expert per token, the one with the smallest loss. The others get 0.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "Not the type.")]
    Single,

    /// <summary>All experts at once. Each moves the mean of its delta as far as it would alone.</summary>
    Joint,
}

public enum DynamicSearch
{
    /// <summary>A search between the roots of the two divergences, to float precision.</summary>
    ClosedForm,

    /// <summary>The best of 0, 0.1, 0.2, ..., maximum, as in the paper (21 points). It begins at the minimum if that is not 0.</summary>
    Grid,
}

/// <summary>The interval of a factor.</summary>
internal readonly record struct Interval(float Minimum, float Maximum)
{
    /// <summary>The factor of a delta without effect.</summary>
    public float Neutral => Math.Clamp(1, Minimum, Maximum);

    public double Nearest(double factor) => Math.Clamp(factor, Minimum, Maximum);
}
