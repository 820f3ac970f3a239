namespace ProxyTune.Decoding.Fusion;

/// <summary>A factor, and how well it does.</summary>
/// <param name="Value">a.</param>
/// <param name="Misfit">Square root of the loss at a.</param>
/// <param name="Saturated">Whether a stands at the interval's upper end and the loss still falls there.</param>
internal readonly record struct Factor(double Value, double Misfit, bool Saturated)
{
    // Of the target: about what single precision logits leave certain.
    private const double Noise = 1e-6;

    /// <summary>The lesser misfit is better; where the two differ by less than rounding of the logits does, the lesser change.</summary>
    /// <param name="moreChange">By how much this factor changes more than the other against the position before.</param>
    public bool IsBetter(Factor other, Divergences target, double moreChange) =>
        Math.Abs(Misfit - other.Misfit) <= Noise * double.Hypot(target.Forward, target.Backward) ? moreChange < 0 : Misfit < other.Misfit;
}
