namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Parts of the methods' equations, in plain loops and double precision.</summary>
internal static class Equations
{
    public static double[] Sum(params (double Weight, double[] Row)[] terms)
    {
        double[] sum = new double[terms[0].Row.Length];
        foreach ((double weight, double[] row) in terms)
        {
            for (int id = 0; id < sum.Length; id++)
            {
                sum[id] += weight * row[id];
            }
        }

        return sum;
    }

    public static double[] LogSoftmax(double[] row)
    {
        double largest = row.Max(), sum = 0;
        foreach (double logit in row)
        {
            sum += Math.Exp(logit - largest);
        }

        return [.. row.Select(logit => logit - largest - Math.Log(sum))];
    }

    /// <summary>KL(softmax p, softmax q).</summary>
    public static double Divergence(double[] p, double[] q)
    {
        double[] logP = LogSoftmax(p), logQ = LogSoftmax(q);
        double sum = 0;
        for (int id = 0; id < p.Length; id++)
        {
            sum += double.IsNegativeInfinity(p[id]) ? 0 : Math.Exp(logP[id]) * (logP[id] - logQ[id]);
        }

        return sum;
    }

    public static double[] Keep(double[] row, IEnumerable<int> kept)
    {
        HashSet<int> ids = [.. kept];
        return [.. row.Select((logit, id) => ids.Contains(id) ? logit : double.NegativeInfinity)];
    }

    public static IEnumerable<int> Ratio(double[] row, double ratio)
    {
        double[] logprobs = LogSoftmax(row);
        return Ids(row).Where(id => Math.Exp(logprobs[id]) >= ratio * Math.Exp(logprobs.Max()));
    }

    public static IEnumerable<int> Top(double[] row, int count) => Ids(row).OrderByDescending(id => row[id]).Take(count);

    public static IEnumerable<int> Nucleus(double[] row, double probability)
    {
        double[] logprobs = LogSoftmax(row);
        double sum = 0;
        List<int> ids = [];
        foreach (int id in Top(row, row.Length))
        {
            ids.Add(id);
            sum += Math.Exp(logprobs[id]);
            if (sum >= probability)
            {
                break;
            }
        }

        return ids;
    }

    /// <summary>The paper's loss of dynamic fusion over the grid 0, 0.1, ..., 3, with one expert at a time.</summary>
    /// <returns>The fused row of the best factor.</returns>
    public static double[] Dynamic(double[] large, double[] anti, double maximum, params double[][] experts)
    {
        (double Loss, double[] Row) best = (double.MaxValue, large);
        foreach (double[] moved in experts)
        {
            for (int step = 0; step <= (int)Math.Round(maximum * 10); step++)
            {
                double[] fused = Sum((1, large), (step / 10.0, moved), (-step / 10.0, anti));
                double loss = 0;
                foreach (double[] expert in experts)
                {
                    loss += Math.Pow(Divergence(fused, large) - Divergence(expert, anti), 2) + Math.Pow(Divergence(large, fused) - Divergence(anti, expert), 2);
                }

                best = loss < best.Loss ? (loss, fused) : best;
            }
        }

        return best.Row;
    }

    private static IEnumerable<int> Ids(double[] row) => Enumerable.Range(0, row.Length);
}
