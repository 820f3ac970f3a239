using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The family F_a = softmax(s_M + a d) of one delta, for every a from 0 to a maximum, and the divergences of tuning in the small model. All sums
/// are in double precision, since a divergence of nearly equal rows is far below single precision.
/// </summary>
internal sealed class TiltedFamily
{
    private const int Block = 512;

    // In logits. It limits the change of a row by a factor.
    private const float Negligible = 1e-5f;

    private readonly DeltaHistogram histogram = new();
    private double[] place = [];
    private double[] mass = [];

    /// <summary>Whether d is the same for all tokens, so that every a gives the same distribution.</summary>
    public bool IsConstant { get; private set; }

    /// <summary>KL(Q+ || Q) and KL(Q || Q+).</summary>
    public Divergences Tuning { get; private set; }

    /// <summary>E_P[d]; undefined if d is constant.</summary>
    public double Centre { get; private set; }

    /// <param name="base">The row s_M; all values are finite.</param>
    /// <param name="delta">The sides of d; all values are finite, and at least one side is present.</param>
    /// <param name="maximum">The largest a.</param>
    public void Load(ReadOnlySpan<float> @base, DeltaRows delta, double maximum)
    {
        ReadOnlySpan<float> plus = delta.Plus.Span, minus = delta.Minus.Span;
        (float low, float high) = Range(plus, minus);
        IsConstant = high - low <= Negligible;
        if (IsConstant)
        {
            Tuning = default;
            return;
        }

        float largest = TensorPrimitives.Max(@base);
        float largestPlus = plus.IsEmpty ? 0 : TensorPrimitives.Max(plus), largestMinus = minus.IsEmpty ? 0 : TensorPrimitives.Max(minus);
        double middle = (low + (double)high) / 2;
        histogram.Begin(low - middle, high - middle, maximum);
        SideSums tuned = default, untuned = default;
        Span<double> p = stackalloc double[Block], q = stackalloc double[Block], tunedQ = stackalloc double[Block], d = stackalloc double[Block];
        for (int start = 0; start < @base.Length; start += Block)
        {
            int length = Math.Min(Block, @base.Length - start);
            p = p[..length];
            q = q[..length];
            tunedQ = tunedQ[..length];
            d = d[..length];
            Widen(@base, start, p);
            Widen(plus, start, tunedQ);
            Widen(minus, start, q);
            TensorPrimitives.Subtract(tunedQ, q, d);
            TensorPrimitives.Subtract(d, middle, d);
            Exponentiate(p, largest);
            Exponentiate(tunedQ, largestPlus);
            Exponentiate(q, largestMinus);
            histogram.Add(p, d);
            tuned.Add(tunedQ, d);
            untuned.Add(q, d);
        }

        histogram.End();
        Centre = histogram.Centre + middle;
        if (place.Length < histogram.Count)
        {
            (place, mass) = (new double[histogram.Count], new double[histogram.Count]);
        }

        double logZ = largestPlus + Math.Log(tuned.Mass) - largestMinus - Math.Log(untuned.Mass) - middle;
        Tuning = new(Math.Max(0, tuned.Mean - logZ), Math.Max(0, logZ - untuned.Mean));
    }

    /// <param name="a">The factor, from 0 to the maximum.</param>
    public Tilt At(double a)
    {
        if (IsConstant)
        {
            return new(a, 0, 0, 0);
        }

        int count = histogram.Count;
        Span<double> at = place.AsSpan(0, count), share = mass.AsSpan(0, count);
        TensorPrimitives.MultiplyAdd(histogram.Third, a / 3, histogram.Variance, share);
        TensorPrimitives.MultiplyAdd(share, a / 2, histogram.Mean, share);
        TensorPrimitives.MultiplyAdd(share, a, histogram.LogMass, share);
        double largest = TensorPrimitives.Max<double>(share);
        Exponentiate(share, largest);
        double sum = TensorPrimitives.Sum<double>(share);
        TensorPrimitives.MultiplyAdd(histogram.Third, a / 2, histogram.Variance, at);
        TensorPrimitives.MultiplyAdd(at, a, histogram.Mean, at);
        double mean = TensorPrimitives.Dot<double>(share, at) / sum;
        TensorPrimitives.Subtract(at, mean, at);
        TensorPrimitives.Multiply(at, at, at);
        TensorPrimitives.Add(at, histogram.Variance, at);
        TensorPrimitives.MultiplyAdd(histogram.Third, a, at, at);
        return new(a, largest + Math.Log(sum), mean, TensorPrimitives.Dot<double>(share, at) / sum);
    }

    private static (float Low, float High) Range(ReadOnlySpan<float> plus, ReadOnlySpan<float> minus)
    {
        Span<float> d = stackalloc float[Block];
        (float low, float high) = (float.PositiveInfinity, float.NegativeInfinity);
        for (int start = 0, length; start < Math.Max(plus.Length, minus.Length); start += length)
        {
            length = Math.Min(Block, Math.Max(plus.Length, minus.Length) - start);
            d = d[..length];
            if (plus.IsEmpty)
            {
                TensorPrimitives.Negate(minus.Slice(start, length), d);
            }
            else if (minus.IsEmpty)
            {
                plus.Slice(start, length).CopyTo(d);
            }
            else
            {
                TensorPrimitives.Subtract(plus.Slice(start, length), minus.Slice(start, length), d);
            }

            (low, high) = (Math.Min(low, TensorPrimitives.Min<float>(d)), Math.Max(high, TensorPrimitives.Max<float>(d)));
        }

        return (low, high);
    }

    private static void Widen(ReadOnlySpan<float> row, int start, Span<double> block)
    {
        if (row.IsEmpty)
        {
            block.Clear();
        }
        else
        {
            TensorPrimitives.ConvertTruncating(row.Slice(start, block.Length), block);
        }
    }

    private static void Exponentiate(Span<double> block, double largest)
    {
        TensorPrimitives.Subtract(block, largest, block);
        TensorPrimitives.Exp(block, block);
    }

    /// <summary>The sums over the tokens for one side of d.</summary>
    private struct SideSums
    {
        private double weighted;

        public double Mass { get; private set; }

        public readonly double Mean => weighted / Mass;

        public void Add(ReadOnlySpan<double> mass, ReadOnlySpan<double> d)
        {
            Mass += TensorPrimitives.Sum(mass);
            weighted += TensorPrimitives.Dot(mass, d);
        }
    }
}

/// <summary>
/// The distribution F_a = P exp(a d) / Z(a) at one a. d is centred, E_P[d] = 0, so that no divergence is a difference of large numbers:
/// KL(F_a || P) = a E_a[d] - log Z(a) and KL(P || F_a) = log Z(a). Both increase with a.
/// </summary>
/// <param name="Factor">The factor a.</param>
/// <param name="LogZ">log E_P[exp(a d)].</param>
/// <param name="Mean">E_a[d].</param>
/// <param name="Variance">Var_a[d].</param>
internal readonly record struct Tilt(double Factor, double LogZ, double Mean, double Variance)
{
    public Divergences Moved => new(Math.Max(0, (Factor * Mean) - LogZ), Math.Max(0, LogZ));
}

/// <summary>The divergences between two distributions in both directions, in nats.</summary>
/// <param name="Forward">KL(new || old).</param>
/// <param name="Backward">KL(old || new).</param>
internal readonly record struct Divergences(double Forward, double Backward);
