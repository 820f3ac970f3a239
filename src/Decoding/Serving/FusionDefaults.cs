using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>The fusion of a served model where a request says nothing, and the ranges of what a request may ask for.</summary>
/// <param name="Method">The served model's own.</param>
/// <param name="Methods">The methods that any request may choose; the own one included. Others are for operators.</param>
/// <param name="Own">The catalogue entry's settings, as far as it has any.</param>
/// <param name="Alpha">The strength; it scales all deltas together.</param>
/// <param name="Amplification">EFT's g.</param>
/// <param name="Floor">The smallest weight of dynamic fusion.</param>
public sealed record FusionDefaults(
    FusionMethod Method, IReadOnlyList<FusionMethod> Methods, FusionSettings Own, BoundedWeight Alpha, BoundedWeight Amplification, BoundedWeight Floor)
{
    public const string SingleMode = "single";
    public const string JointMode = "joint";
    public const string ClosedFormSearch = "closed_form";
    public const string GridSearch = "grid";

    /// <summary>Of <see cref="Amplification"/>: 1 is plain up-scaling.</summary>
    internal const double UsualAmplification = 1;
    internal const double UsualMaxAmplification = 2;

    /// <summary>Dynamic fusion seeks its weights from 0 to the end of alpha's range.</summary>
    internal bool HasRoomForDynamic => Alpha.Maximum is > 0 and <= DynamicOptions.MaxMaximum;
}

/// <summary>A number and the range that a request may ask for instead. Values below 0 un-align a model, so the operator decides whether a range has any.</summary>
public sealed record BoundedWeight(double Default, double Minimum, double Maximum)
{
    public const double UsualDefault = 1;
    public const double UsualMinimum = 0;
    public const double UsualMaximum = 2;

    internal bool Contains(double value) => value >= Minimum && value <= Maximum;
}
