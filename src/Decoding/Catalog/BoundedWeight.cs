namespace ProxyTune.Decoding.Catalog;

/// <summary>A weight and what a request may ask for instead. Below 0 un-aligns a model, so such a range is the operator's decision.</summary>
public sealed record BoundedWeight(double Default, double Minimum, double Maximum)
{
    public const double UsualDefault = 1;
    public const double UsualMinimum = 0;
    public const double UsualMaximum = 2;

    /// <summary>The asked weight, or the default where none is asked.</summary>
    /// <exception cref="EngineException">InvalidValue: outside the range, or not a number.</exception>
    internal double Settle(double? asked, string field, string servedModel)
    {
        double value = asked ?? Default;
        return Contains(value) ? value : throw new EngineException(
            EngineError.InvalidValue,
            FormattableString.Invariant($"{field} is {value}; {servedModel} accepts {Minimum} to {Maximum}."),
            field);
    }

    internal bool Contains(double value) => value >= Minimum && value <= Maximum;
}
