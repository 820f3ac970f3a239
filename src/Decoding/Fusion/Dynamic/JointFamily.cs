using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Fusion;

/// <summary>F_a = softmax(s_M + sum of a_t d_t) for vectors a: log Z(a) = log E_P[exp(sum of a_t d_t)], its gradient E_a[d_t] and its Hessian Cov_a[d_s, d_t].</summary>
internal sealed class JointFamily
{
    private readonly List<double[]> deltas = [];
    private double[] logits = [];
    private double[] mass = [];
    private double[] product = [];
    private int width;
    private double logMass;

    public int Count { get; private set; }

    /// <param name="step">Rows without banned tokens.</param>
    /// <param name="families">The family of each delta. Its centre is subtracted from d_t, so that E_P[d_t] = 0.</param>
    public void Load(in FusionStep step, ReadOnlySpan<TiltedFamily> families)
    {
        (width, Count) = (step.Base.Length, step.Deltas.Length);
        if (logits.Length < width)
        {
            (logits, mass, product) = (new double[width], new double[width], new double[width]);
            deltas.Clear();
        }

        while (deltas.Count < Count)
        {
            deltas.Add(new double[logits.Length]);
        }

        TensorPrimitives.ConvertTruncating(step.Base, logits);
        for (int t = 0; t < Count; t++)
        {
            Span<double> difference = deltas[t].AsSpan(0, width);
            if (families[t].IsConstant)
            {
                // What rounding leaves of it must not decide its factor.
                difference.Clear();
            }
            else
            {
                Subtract(step.Deltas[t], families[t].Centre, difference);
            }
        }

        logMass = 0;
        logMass = Exponentiate([]);
    }

    /// <summary>Evaluates the family.</summary>
    /// <param name="a">One factor for each delta.</param>
    /// <param name="mean">Receives E_a[d_t].</param>
    /// <param name="covariance">Receives Cov_a[d_s, d_t], by rows.</param>
    /// <returns>log Z(a).</returns>
    public double At(ReadOnlySpan<double> a, Span<double> mean, Span<double> covariance)
    {
        double logZ = Exponentiate(a);
        Span<double> share = mass.AsSpan(0, width), weighted = product.AsSpan(0, width);
        double total = TensorPrimitives.Sum<double>(share);
        for (int s = 0; s < Count; s++)
        {
            mean[s] = TensorPrimitives.Dot<double>(share, deltas[s].AsSpan(0, width)) / total;
            TensorPrimitives.AddMultiply(deltas[s].AsSpan(0, width), -mean[s], share, weighted);
            for (int t = 0; t <= s; t++)
            {
                covariance[(s * Count) + t] = covariance[(t * Count) + s] =
                    TensorPrimitives.Dot<double>(weighted, deltas[t].AsSpan(0, width)) / total;
            }
        }

        return logZ;
    }

    private double Exponentiate(ReadOnlySpan<double> a)
    {
        Span<double> share = mass.AsSpan(0, width);
        logits.AsSpan(0, width).CopyTo(share);
        for (int t = 0; t < a.Length; t++)
        {
            TensorPrimitives.MultiplyAdd(deltas[t].AsSpan(0, width), a[t], share, share);
        }

        double largest = TensorPrimitives.Max<double>(share);
        TensorPrimitives.Subtract(share, largest, share);
        TensorPrimitives.Exp(share, share);
        return largest + Math.Log(TensorPrimitives.Sum<double>(share)) - logMass;
    }

    private void Subtract(DeltaRows delta, double centre, Span<double> difference)
    {
        difference.Fill(-centre);
        Span<double> side = product.AsSpan(0, width);
        if (!delta.Plus.IsEmpty)
        {
            TensorPrimitives.ConvertTruncating(delta.Plus.Span, side);
            TensorPrimitives.Add(difference, side, difference);
        }

        if (!delta.Minus.IsEmpty)
        {
            TensorPrimitives.ConvertTruncating(delta.Minus.Span, side);
            TensorPrimitives.Subtract(difference, side, difference);
        }
    }
}
