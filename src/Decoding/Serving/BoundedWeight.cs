namespace ProxyTune.Decoding.Serving;

/// <summary>A weight and what a request may ask for instead. Below 0 un-aligns a model, so such a range is the operator's decision.</summary>
public sealed record BoundedWeight(double Default, double Minimum, double Maximum)
{
    public const double UsualDefault = 1;
    public const double UsualMinimum = 0;
    public const double UsualMaximum = 2;

    internal bool Contains(double value) => value >= Minimum && value <= Maximum;
}
