namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Softmax, divergence and sets of likely tokens by sorting and plain loops.</summary>
internal static class Distribution
{
    public static double[] Logprobs(double[] row)
    {
        double largest = row.Max(), sum = 0;
        foreach (double score in row)
        {
            sum += Math.Exp(score - largest);
        }

        double[] result = new double[row.Length];
        for (int i = 0; i < row.Length; i++)
        {
            result[i] = row[i] - largest - Math.Log(sum);
        }

        return result;
    }

    /// <summary>log sum exp.</summary>
    public static double Normaliser(double[] row) => row.Max() + Math.Log(row.Sum(score => Math.Exp(score - row.Max())));

    /// <summary>KL(softmax p, softmax q).</summary>
    public static double Divergence(double[] p, double[] q)
    {
        double[] logP = Logprobs(p), logQ = Logprobs(q);
        double sum = 0;
        for (int i = 0; i < p.Length; i++)
        {
            if (!double.IsNegativeInfinity(logP[i]))
            {
                sum += Math.Exp(logP[i]) * (logP[i] - logQ[i]);
            }
        }

        return sum;
    }

    /// <summary>The likeliest token; of equal ones, the lowest id.</summary>
    public static int Likeliest(double[] row)
    {
        int best = 0;
        for (int i = 1; i < row.Length; i++)
        {
            best = row[i] > row[best] ? i : best;
        }

        return best;
    }

    public static HashSet<int> Top(double[] row, int k) => [.. Order(row).Take(k)];

    /// <summary>The smallest set of likeliest tokens that reaches a probability.</summary>
    public static HashSet<int> Nucleus(double[] row, double probability)
    {
        double[] logprobs = Logprobs(row);
        HashSet<int> set = [];
        double sum = 0;
        foreach (int id in Order(row))
        {
            if (sum >= probability)
            {
                break;
            }

            set.Add(id);
            sum += Math.Exp(logprobs[id]);
        }

        return set;
    }

    private static IEnumerable<int> Order(double[] row) => Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i);
}
