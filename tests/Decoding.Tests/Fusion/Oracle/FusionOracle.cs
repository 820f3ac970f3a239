using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Computes every method from its equation in docs/decoding.md, in plain loops and double precision over log-probabilities.</summary>
internal static class FusionOracle
{
    /// <param name="settled">Complete settings.</param>
    /// <param name="position">Index of the token within the answer.</param>
    /// <param name="factors">Factors of dynamic fusion, by expert.</param>
    public static OracleToken Token(AskedFusion settled, OracleRows rows, int position, IReadOnlyDictionary<string, double>? factors = null)
    {
        ScheduleSettings schedule = settled.Schedule!;
        double share = schedule.Kind switch
        {
            "warm_up" => position < schedule.Tokens ? 0 : 1,
            "linear" when position < schedule.Tokens => (schedule.From ?? 0) + ((1 - (schedule.From ?? 0)) * position / schedule.Tokens!.Value),
            _ => 1,
        };
        Dictionary<string, double> weights = Weights(settled, rows, share, factors);
        double[] open = Finished(settled, rows, Sum(settled, rows, weights));
        if (schedule.Kind != "gated" || weights.Count == 0 || !IsSure(rows, weights, schedule.Threshold ?? 0.9))
        {
            return Token(open, rows, weights, null);
        }

        Dictionary<string, double> none = weights.ToDictionary(pair => pair.Key, _ => 0.0);
        bool changes = Distribution.Likeliest(open) != Distribution.Likeliest(rows.Base);
        return Token(Finished(settled, rows, Sum(settled, rows, none)), rows, none, new(Distribution.Divergence(open, rows.Base), changes));
    }

    private static OracleToken Token(double[] row, OracleRows rows, Dictionary<string, double> weights, OracleGate? gate) =>
        new(row, weights, row.Count(double.IsFinite), Distribution.Divergence(row, rows.Base), gate);

    /// <summary>The weight of each difference. Differences without effect are left out.</summary>
    private static Dictionary<string, double> Weights(AskedFusion settled, OracleRows rows, double share, IReadOnlyDictionary<string, double>? factors)
    {
        Dictionary<string, double> weights = [];
        switch (settled.Method)
        {
            case "proxy" or "dexperts" or "portable_reward" or "eft" or "dynamic" or "divergence":
                foreach (OracleExpert expert in rows.Experts.Where(expert => ((settled.Alpha ?? 1) != 0 || settled.Mask!.Kind == "rank") && settled.Experts![expert.Name] != 0))
                {
                    weights[expert.Name] = share * settled.Experts![expert.Name] * (factors?[expert.Name] ?? settled.Alpha!.Value);
                }

                if ((settled.Amplification ?? 1) != 1)
                {
                    weights["size"] = share * (settled.Amplification!.Value - 1);
                }

                break;
            case "contrastive" when settled.Alpha != 0:
                weights["amateur"] = share * settled.Alpha!.Value;
                break;
            case "context_aware" when settled.Alpha != 0:
                weights["context"] = share * settled.Alpha!.Value;
                break;
        }

        return weights;
    }

    private static double[] Sum(AskedFusion settled, OracleRows rows, Dictionary<string, double> weights)
    {
        double[] z = Plain(settled, rows, weights);
        if (settled.Mask!.Kind != "delta" || weights.Values.All(weight => weight == 0) || rows.Experts.SingleOrDefault(e => weights.ContainsKey(e.Name)) is not { } expert)
        {
            return z;
        }

        HashSet<int> nucleus = Distribution.Nucleus(expert.Plus, settled.Mask.P!.Value);
        double[] ofExpert = Distribution.Logprobs(expert.Plus);
        for (int x = 0; x < z.Length; x++)
        {
            z[x] = nucleus.Contains(x) || double.IsNegativeInfinity(z[x]) ? z[x] : ofExpert[x];
        }

        return z;
    }

    private static double[] Plain(AskedFusion settled, OracleRows rows, Dictionary<string, double> weights)
    {
        // The total weight of each row over all terms of the equation. Rows are compared by reference.
        Dictionary<double[], double> terms = new() { [rows.Base] = 1 };
        foreach (OracleExpert expert in rows.Experts.Where(e => weights.ContainsKey(e.Name)))
        {
            Add(expert.Plus, weights[expert.Name]);
            Add(expert.Minus, -weights[expert.Name]);
        }

        if (weights.TryGetValue("size", out double size))
        {
            Add(rows.Base, size);
            Add(rows.Experts.First(e => settled.Experts![e.Name] != 0).Minus, -size);
        }

        Add(rows.Amateur, -weights.GetValueOrDefault("amateur"));
        Add(rows.Base, weights.GetValueOrDefault("context"));
        Add(rows.WithoutContext, -weights.GetValueOrDefault("context"));

        double[] z = new double[rows.Base.Length];
        foreach ((double[] row, double weight) in terms.Where(term => Math.Abs(term.Value) > 1e-9))
        {
            double[] logprobs = Distribution.Logprobs(row);
            for (int x = 0; x < z.Length; x++)
            {
                z[x] = double.IsNegativeInfinity(z[x]) || double.IsNegativeInfinity(logprobs[x]) ? double.NegativeInfinity : z[x] + (weight * logprobs[x]);
            }
        }

        return z;

        void Add(double[]? row, double weight)
        {
            if (row is not null)
            {
                terms[row] = terms.GetValueOrDefault(row) + weight;
            }
        }
    }

    /// <summary>The k tokens that the minus side raises most over the plus side; a token that both ban is raised least.</summary>
    private static HashSet<int> Raised(OracleExpert expert, int k) =>
        Distribution.Top([.. expert.Minus!.Zip(expert.Plus, (minus, plus) => double.IsNaN(minus - plus) ? double.NegativeInfinity : minus - plus)], k);

    /// <summary>Mask, and then the special tokens: p_M of each, and the rest of the row's probabilities times what p_M leaves to the rest.</summary>
    private static double[] Finished(AskedFusion settled, OracleRows rows, double[] z)
    {
        double[] masked = Masked(settled, rows, z);
        if (settled.SpecialTokens != "base")
        {
            return masked;
        }

        double[] ofBase = [.. Distribution.Logprobs(rows.Base).Select(Math.Exp)], p = [.. masked.Select((score, x) => x < TinyTokenizer.Special.Length ? 0 : Math.Exp(score - masked.Max()))];
        double rest = 1 - ofBase.Take(TinyTokenizer.Special.Length).Sum(), sum = p.Sum();
        return [.. p.Select((share, x) => Math.Log(x < TinyTokenizer.Special.Length ? ofBase[x] : sum > 0 ? share / sum * rest : 0))];
    }

    private static double[] Masked(AskedFusion settled, OracleRows rows, double[] z)
    {
        MaskSettings mask = settled.Mask!;
        OracleExpert[] taking = [.. rows.Experts.Where(e => settled.Alpha != 0 && settled.Experts?.GetValueOrDefault(e.Name) is not (null or 0))];
        double[] ofBase = Distribution.Logprobs(rows.Base);
        HashSet<int>? kept = mask.Kind switch
        {
            "ratio" => [.. Enumerable.Range(0, z.Length).Where(x => ofBase[x] >= ofBase.Max() + Math.Log(mask.Ratio!.Value))],
            "nucleus" when mask.Of == "expert" => taking.Length > 0 ? Distribution.Nucleus(taking[0].Plus, mask.P!.Value) : null,
            "nucleus" => Distribution.Nucleus(rows.Base, mask.P!.Value),
            "rank" => [.. Enumerable.Range(0, z.Length).Except(rows.Experts.Where(e => settled.Experts![e.Name] != 0).SelectMany(e => Raised(e, mask.K ?? 20)))],
            "top_k" => [.. Distribution.Top(rows.Base, mask.K!.Value), .. taking.SelectMany(e => Distribution.Top(e.Plus, mask.K!.Value))],
            _ => null,
        };
        if (kept is null)
        {
            return z;
        }

        double[] masked = [.. z.Select((score, x) => kept.Contains(x) ? score : double.NegativeInfinity)];
        if (masked.All(double.IsNegativeInfinity))
        {
            masked[Distribution.Likeliest(z)] = z.Max();
        }

        return masked;
    }

    private static bool IsSure(OracleRows rows, Dictionary<string, double> weights, double threshold)
    {
        int choice = Distribution.Likeliest(rows.Base);
        return rows.Experts.Where(e => weights.ContainsKey(e.Name)).All(e => Distribution.Likeliest(e.Plus) == choice)
            && Math.Exp(Distribution.Logprobs(rows.Base)[choice]) >= threshold;
    }
}
