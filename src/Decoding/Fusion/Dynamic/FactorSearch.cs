namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// a* = argmin over a in [minimum, maximum] of (KL(F_a || P) - forward)^2 + (KL(P || F_a) - backward)^2 (Fan et al. 2024, arXiv 2406.15480,
/// equation of one expert). Both divergences increase with a, so the minimum is between the two a at which one of them equals its target.
/// </summary>
/// <remarks>
/// About one random row in 80 has two minima. The search therefore scans the bracket and refines every interval in which the loss changes from falling to
/// rising. If two minima differ by less than the rounding of the logits, the one nearer to the previous factor wins.
/// </remarks>
internal sealed class FactorSearch(DynamicSearch search, Interval interval)
{
    private const int Intervals = 12;
    private const double Precision = 1e-9;
    private const double GridStep = 0.1;

    // In nats. Below this the base is so sure, or tuning changed so little, that the loss is flat at all relevant scales.
    private const double Negligible = 1e-12;

    /// <param name="family">The family F_a.</param>
    /// <param name="target">The two target divergences.</param>
    /// <param name="previous">The previous factor, which decides ties.</param>
    public Factor Solve(TiltedFamily family, Divergences target, double previous)
    {
        previous = interval.Nearest(previous);
        if (family.IsConstant)
        {
            return new Misfit(family.At(interval.Neutral), target).Factor(interval.Maximum);
        }

        Factor unchanged = new Misfit(family.At(previous), target).Factor(interval.Maximum);
        if (unchanged.Misfit <= Negligible)
        {
            return unchanged;
        }

        Best best = new(target, previous);
        if (search == DynamicSearch.Grid)
        {
            for (int i = 0; i <= (int)(((interval.Maximum - interval.Minimum) / GridStep) + 1e-3); i++)
            {
                best.Meet(new Misfit(family.At(interval.Minimum + (i * GridStep)), target).Factor(interval.Maximum));
            }

            return best.Factor;
        }

        Equation equation = new(family, target);
        double forward = equation.Root(m => m.Forward, interval.Minimum, interval.Maximum), backward = equation.Root(m => m.Backward, interval.Minimum, interval.Maximum);
        double low = Math.Min(forward, backward), high = Math.Max(forward, backward);
        Misfit left = equation.At(low);
        if (left.Slope >= 0)
        {
            best.Meet(left.Factor(interval.Maximum));
        }

        int intervals = high - low > Precision ? Intervals : 0;
        for (int i = 1; i <= intervals; i++)
        {
            Misfit right = equation.At(i == intervals ? high : low + ((high - low) * i / intervals));
            if (left.Slope < 0 && right.Slope >= 0)
            {
                double a = equation.Root(m => m.Slope, left.Tilt.Factor, right.Tilt.Factor);
                best.Meet(equation.At(a).Factor(interval.Maximum));
            }

            left = right;
        }

        if (left.Slope < 0)
        {
            best.Meet(left.Factor(interval.Maximum));
        }

        return best.Factor;
    }

    /// <summary>The factor with the smallest misfit so far; of equal ones the factor with the smallest change.</summary>
    private struct Best(Divergences target, double previous)
    {
        public Factor Factor { get; private set; } = new(0, double.PositiveInfinity, false);

        public void Meet(Factor other)
        {
            if (other.IsBetter(Factor, target, Math.Abs(other.Value - previous) - Math.Abs(Factor.Value - previous)))
            {
                Factor = other;
            }
        }
    }

    private readonly struct Equation(TiltedFamily family, Divergences target)
    {
        public Misfit At(double a) => new(family.At(a), target);

        /// <summary>The root of one part of the misfit (Ridders 1979); an end of the interval if there is none.</summary>
        public double Root(Func<Misfit, double> part, double low, double high)
        {
            double atLow = part(At(low)), atHigh = part(At(high));
            if (atLow >= 0 || atHigh <= 0)
            {
                return atHigh <= 0 ? high : low;
            }

            while (high - low > Precision)
            {
                double middle = (low + high) / 2, atMiddle = part(At(middle));
                double x = middle - ((middle - low) * atMiddle / Math.Sqrt((atMiddle * atMiddle) - (atLow * atHigh)));
                double atX = part(At(x));
                Narrow(middle, atMiddle);
                Narrow(x, atX);
                if (Math.Abs(x - middle) < Precision / 2)
                {
                    return x;
                }
            }

            return (low + high) / 2;

            void Narrow(double at, double value)
            {
                if (at > low && at < high)
                {
                    if (value < 0)
                    {
                        (low, atLow) = (at, value);
                    }
                    else
                    {
                        (high, atHigh) = (at, value);
                    }
                }
            }
        }
    }
}

/// <summary>A factor with its misfit.</summary>
/// <param name="Value">The factor a.</param>
/// <param name="Misfit">The square root of the loss at a.</param>
/// <param name="Saturated">Whether a is the interval's upper end and the loss still falls there.</param>
internal readonly record struct Factor(double Value, double Misfit, bool Saturated)
{
    // Relative to the target: about the precision that logits in single precision allow.
    private const double Noise = 1e-6;

    /// <summary>The smaller misfit is better. If the two differ by less than the rounding of the logits, the smaller change is better.</summary>
    /// <param name="moreChange">The change of this factor from the previous position, minus the change of the other factor.</param>
    public bool IsBetter(Factor other, Divergences target, double moreChange) =>
        Math.Abs(Misfit - other.Misfit) <= Noise * double.Hypot(target.Forward, target.Backward) ? moreChange < 0 : Misfit < other.Misfit;
}

/// <summary>The differences between the divergences at one a and their targets.</summary>
internal readonly record struct Misfit(Tilt Tilt, Divergences Target)
{
    // Square roots, since the divergences are quadratic in a near 0 and their roots are linear.
    public double Forward => Math.Sqrt(Tilt.Moved.Forward) - Math.Sqrt(Target.Forward);

    public double Backward => Math.Sqrt(Tilt.Moved.Backward) - Math.Sqrt(Target.Backward);

    /// <summary>Half of the derivative of the loss: dKL(F_a || P)/da = a Var_a[d], dKL(P || F_a)/da = E_a[d].</summary>
    public double Slope =>
        ((Tilt.Moved.Forward - Target.Forward) * Tilt.Factor * Tilt.Variance) + ((Tilt.Moved.Backward - Target.Backward) * Tilt.Mean);

    public Factor Factor(float maximum) => new(
        Tilt.Factor,
        double.Hypot(Tilt.Moved.Forward - Target.Forward, Tilt.Moved.Backward - Target.Backward),
        (float)Tilt.Factor >= maximum && Slope < 0);
}
