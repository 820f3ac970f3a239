using System.Diagnostics.CodeAnalysis;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Fusion;

/// <summary>How dynamic logit fusion chooses its factors. See <see cref="DynamicFusion"/> for the equations.</summary>
public sealed record DynamicOptions
{
    public const float MaxMaximum = 10;

    /// <summary>Default <see cref="DynamicMode.Single"/>, the paper's rule.</summary>
    public DynamicMode Mode { get; init; } = DynamicMode.Single;

    /// <summary>Default <see cref="DynamicSearch.ClosedForm"/>.</summary>
    public DynamicSearch Search { get; init; } = DynamicSearch.ClosedForm;

    /// <summary>
    /// Lower end of the interval that a factor is sought in, from 0 to <see cref="Maximum"/>. Default 0, the paper's. An expert that was tuned for a
    /// strength (consistent proxy-tuning) is not meant to be weaker.
    /// </summary>
    public float Minimum { get; init; }

    /// <summary>Upper end of the interval that a factor is sought in. Above 0, at most <see cref="MaxMaximum"/>. Default 2, the paper's.</summary>
    public float Maximum { get; init; } = 2;

    /// <exception cref="EngineException">InvalidValue when <see cref="Maximum"/> or <see cref="Minimum"/> lies outside its range.</exception>
    public void Check()
    {
        RangeCheck.Between("maximum", Maximum, float.Epsilon, MaxMaximum, $"above 0 and at most {MaxMaximum}");
        RangeCheck.Between("minimum", Minimum, 0, Maximum, FormattableString.Invariant($"from 0 to the maximum, {Maximum}"));
    }
}

public enum DynamicMode
{
    /// <summary>One expert per token, the one whose best factor comes closest; the others get 0.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "Not the type.")]
    Single,

    /// <summary>All experts at once, each moving its own delta's mean as far as it would alone.</summary>
    Joint,
}

public enum DynamicSearch
{
    /// <summary>The minimum to float precision, between the roots of the two divergences.</summary>
    ClosedForm,

    /// <summary>The best of 0, 0.1, 0.2, ..., maximum, as in the paper (21 points; from the minimum, where that is not 0).</summary>
    Grid,
}

/// <summary>Where a factor is sought.</summary>
internal readonly record struct Interval(float Minimum, float Maximum)
{
    /// <summary>The factor of a delta that changes nothing.</summary>
    public float Neutral => Math.Clamp(1, Minimum, Maximum);

    public double Nearest(double factor) => Math.Clamp(factor, Minimum, Maximum);
}
