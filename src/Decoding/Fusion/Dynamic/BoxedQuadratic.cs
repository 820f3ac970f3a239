namespace ProxyTune.Decoding.Fusion;

/// <summary>The Newton step inside a box: argmin of g.x + x H x / 2 with minimum ≤ a + x ≤ maximum, by coordinate descent (a few experts, so a tiny H).</summary>
internal static class BoxedQuadratic
{
    private const int MaxSweeps = 500;
    private const double Precision = 1e-10;

    /// <param name="gradient">g.</param>
    /// <param name="hessian">H by rows, positive definite.</param>
    /// <param name="a">The start of the step, inside the box.</param>
    /// <param name="change">Receives x. The sweeps begin at 0 and never increase the objective, so x is a direction of descent even after an early stop.</param>
    public static void Minimise(ReadOnlySpan<double> gradient, ReadOnlySpan<double> hessian, ReadOnlySpan<double> a, Interval interval, Span<double> change)
    {
        change.Clear();
        double largest = double.PositiveInfinity;
        for (int sweep = 0; sweep < MaxSweeps && largest > Precision; sweep++)
        {
            largest = 0;
            for (int t = 0; t < a.Length; t++)
            {
                double slope = gradient[t];
                for (int s = 0; s < a.Length; s++)
                {
                    slope += hessian[(t * a.Length) + s] * change[s];
                }

                double next = Math.Clamp(change[t] - (slope / hessian[(t * a.Length) + t]), interval.Minimum - a[t], interval.Maximum - a[t]);
                largest = Math.Max(largest, Math.Abs(next - change[t]));
                change[t] = next;
            }
        }
    }
}
