namespace ProxyTune.Decoding.Fusion;

/// <summary>What is left at one a between the divergences reached and those aimed at.</summary>
internal readonly record struct Misfit(Tilt Tilt, Divergences Target)
{
    // Square roots, because the divergences begin as squares of a and their roots as lines.
    public double Forward => Math.Sqrt(Tilt.Moved.Forward) - Math.Sqrt(Target.Forward);

    public double Backward => Math.Sqrt(Tilt.Moved.Backward) - Math.Sqrt(Target.Backward);

    /// <summary>Half the loss's derivative: dKL(F_a || P)/da = a Var_a[d], dKL(P || F_a)/da = E_a[d].</summary>
    public double Slope =>
        ((Tilt.Moved.Forward - Target.Forward) * Tilt.Factor * Tilt.Variance) + ((Tilt.Moved.Backward - Target.Backward) * Tilt.Mean);

    public Factor Factor(float maximum) => new(
        Tilt.Factor,
        double.Hypot(Tilt.Moved.Forward - Target.Forward, Tilt.Moved.Backward - Target.Backward),
        (float)Tilt.Factor >= maximum && Slope < 0);
}
