using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The objective of <see cref="DynamicMode.Joint"/>. With F_a = softmax(s_M + sum of a_t d_t) and a_t* the factor of expert t alone, the factors
/// are
///
///     argmin over minimum ≤ a_t ≤ maximum of   log Z(a) - sum of a_t m_t + sum of r_t / 2 (a_t - a_t*)^2,
///     m_t = E_{F(a_t*)}[d_t],   r_t = 1/100 Var_{F(a_t*)}[d_t].
/// </summary>
/// <remarks>
/// The gradient of log Z is E_F[d_t]. Without the ridge r, at the minimum inside the box the mean of each d_t under the fused distribution equals
/// its mean for that expert alone. Thus a change that two experts share is applied once (two equal experts get half of a* each), a change that one
/// expert cancels for another is restored, experts with uncorrelated deltas get their own a_t*, and a single expert gets exactly a*. log Z is
/// convex and the ridge is strictly convex, so there is one minimiser, which is continuous in the rows. The ridge matters only if the deltas
/// do not determine the factors. It is a hundredth of the curvature of the expert's own problem, so that the factors do not depend on the unit
/// of d.
/// </remarks>
internal sealed class MomentMatching(Interval interval)
{
    private const double Ridge = 0.01;

    // A negligible variance relative to the size of d. It keeps the minimiser unique for a constant delta.
    private const double Floor = 1e-12;

    // Newton's method squares the error, so after a change of this size the error is far below single precision.
    private const double LastChange = 1e-4;
    private const int MaxSteps = 50;

    /// <param name="family">The family F_a over vectors a.</param>
    /// <param name="alone">For each delta t, F at a_t* with all other factors 0.</param>
    /// <param name="factors">Receives the minimiser.</param>
    /// <returns>Whether a factor stopped at the maximum although the objective still falls there.</returns>
    public bool Solve(JointFamily family, ReadOnlySpan<Tilt> alone, Span<double> factors)
    {
        int n = alone.Length;
        Span<double> gradient = stackalloc double[n], hessian = stackalloc double[n * n], change = stackalloc double[n];
        Span<double> trial = stackalloc double[n], nextGradient = stackalloc double[n], nextHessian = stackalloc double[n * n];
        for (int t = 0; t < n; t++)
        {
            factors[t] = alone[t].Factor;
        }

        double value = Objective(family, alone, factors, gradient, hessian);
        for (int step = 0; step < MaxSteps; step++)
        {
            BoxedQuadratic.Minimise(gradient, hessian, factors, interval, change);
            double slope = 0, largest = 0;
            for (int t = 0; t < n; t++)
            {
                slope += gradient[t] * change[t];
                largest = Math.Max(largest, Math.Abs(change[t]));
            }

            if (largest < LastChange)
            {
                TensorPrimitives.Add(factors, change, factors);
                break;
            }

            // The box is convex, so any part of the change stays inside.
            double part = 2, next;
            do
            {
                part /= 2;
                for (int t = 0; t < n; t++)
                {
                    trial[t] = factors[t] + (part * change[t]);
                }

                next = Objective(family, alone, trial, nextGradient, nextHessian);
            }
            while (next > value + (1e-4 * part * slope) && part * largest >= LastChange);

            trial.CopyTo(factors);
            nextGradient.CopyTo(gradient);
            nextHessian.CopyTo(hessian);
            value = next;
        }

        bool saturated = false;
        for (int t = 0; t < n; t++)
        {
            saturated |= factors[t] >= interval.Maximum && gradient[t] < 0;
        }

        return saturated;
    }

    private static double Objective(JointFamily family, ReadOnlySpan<Tilt> alone, ReadOnlySpan<double> a, Span<double> gradient, Span<double> hessian)
    {
        double value = family.At(a, gradient, hessian);
        for (int t = 0; t < a.Length; t++)
        {
            double away = a[t] - alone[t].Factor, ridge = (Ridge * alone[t].Variance) + Floor;
            value += (ridge / 2 * away * away) - (a[t] * alone[t].Mean);
            gradient[t] += (ridge * away) - alone[t].Mean;
            hessian[(t * a.Length) + t] += ridge;
        }

        return value;
    }
}
