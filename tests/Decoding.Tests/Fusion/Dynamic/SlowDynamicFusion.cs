namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Dynamic logit fusion by its definition: whole softmaxes and divergences in plain loops, in double, for every a that is tried.</summary>
internal sealed class SlowDynamicFusion
{
    private readonly double[] logits;
    private readonly double[] logP;
    private readonly double[] p;
    private readonly double[][] deltas;

    public SlowDynamicFusion(RandomDeltaRows rows)
    {
        int[] kept = [.. Enumerable.Range(0, rows.Base.Length).Where(rows.Allows)];
        logits = [.. kept.Select(i => (double)rows.Base[i])];
        logP = LogSoftmax(logits);
        p = [.. logP.Select(Math.Exp)];
        deltas = [.. rows.Deltas.Select(r => kept.Select(i => Side(r.Plus, i) - Side(r.Minus, i)).ToArray())];
        Targets = [.. rows.Deltas.Select(r => Divergences(LogSoftmax([.. kept.Select(i => Side(r.Plus, i))]), LogSoftmax([.. kept.Select(i => Side(r.Minus, i))])))];
    }

    /// <summary>For each expert KL(Q_t+ || Q_t) and KL(Q_t || Q_t+).</summary>
    public (double Forward, double Backward)[] Targets { get; }

    /// <summary>The loss of a vector of factors: squared differences, summed over all experts.</summary>
    public double Loss(params double[] a)
    {
        (double forward, double backward) = Moved(a);
        double loss = 0;
        foreach ((double wantedForward, double wantedBackward) in Targets)
        {
            loss += Math.Pow(forward - wantedForward, 2) + Math.Pow(backward - wantedBackward, 2);
        }

        return loss;
    }

    /// <summary>KL(F_a || P) and KL(P || F_a).</summary>
    public (double Forward, double Backward) Moved(params double[] a)
    {
        double[] f = Fused(a);
        double forward = 0, backward = 0;
        for (int i = 0; i < f.Length; i++)
        {
            forward += Math.Exp(f[i]) * (f[i] - logP[i]);
            backward += p[i] * (logP[i] - f[i]);
        }

        return (forward, backward);
    }

    /// <summary>log F_a over the allowed tokens.</summary>
    public double[] Fused(params double[] a) => LogSoftmax(Sum(a));

    /// <summary>E[d_t] and Var[d_t] under F_a.</summary>
    public (double Mean, double Variance) Moments(int t, params double[] a)
    {
        double[] f = Fused(a);
        double mean = 0, variance = 0;
        for (int i = 0; i < f.Length; i++)
        {
            mean += Math.Exp(f[i]) * deltas[t][i];
        }

        for (int i = 0; i < f.Length; i++)
        {
            variance += Math.Exp(f[i]) * Math.Pow(deltas[t][i] - mean, 2);
        }

        return (mean, variance);
    }

    /// <summary>log Z(a), Z(a) = E_P[exp(sum of a_t d_t)].</summary>
    public double LogZ(params double[] a) => LogSum(Sum(a)) - LogSum(logits);

    /// <summary>Largest difference between two fused rows, as a share of the larger row's largest magnitude, additive constants aside.</summary>
    public double Distance(double[] a, double[] b)
    {
        double[] one = Sum(a), other = Sum(b);
        double shift = LogSum(one) - LogSum(other), distance = 0, size = 0;
        for (int i = 0; i < one.Length; i++)
        {
            distance = Math.Max(distance, Math.Abs(one[i] - other[i] - shift));
            size = Math.Max(size, Math.Max(Math.Abs(one[i]), Math.Abs(other[i])));
        }

        return distance / size;
    }

    private double[] Sum(double[] a)
    {
        double[] z = [.. logits];
        for (int t = 0; t < a.Length; t++)
        {
            for (int i = 0; i < z.Length; i++)
            {
                z[i] += a[t] * deltas[t][i];
            }
        }

        return z;
    }

    private static (double Forward, double Backward) Divergences(double[] to, double[] from)
    {
        double forward = 0, backward = 0;
        for (int i = 0; i < to.Length; i++)
        {
            forward += Math.Exp(to[i]) * (to[i] - from[i]);
            backward += Math.Exp(from[i]) * (from[i] - to[i]);
        }

        return (forward, backward);
    }

    private static double[] LogSoftmax(double[] row)
    {
        double normaliser = LogSum(row);
        double[] result = new double[row.Length];
        for (int i = 0; i < row.Length; i++)
        {
            result[i] = row[i] - normaliser;
        }

        return result;
    }

    private static double LogSum(double[] row)
    {
        double largest = row.Max(), sum = 0;
        foreach (double logit in row)
        {
            sum += Math.Exp(logit - largest);
        }

        return largest + Math.Log(sum);
    }

    private static double Side(float[]? row, int i) => row is null ? 0 : row[i];
}
