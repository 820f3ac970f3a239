using ProxyTune.Decoding.Tests.Fusion;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>Dynamic logit fusion (Fan et al. 2024) with one expert, by brute force: the loss at every 1/1000, then a finer scan around the minimum.</summary>
internal static class DynamicScan
{
    public static double Factor(double[] large, OracleExpert expert)
    {
        double[] minus = expert.Minus!;
        (double forward, double backward) = (Distribution.Divergence(expert.Plus, minus), Distribution.Divergence(minus, expert.Plus));
        double coarse = Least(0, 2, 2000);
        return Least(Math.Max(0, coarse - 0.001), Math.Min(2, coarse + 0.001), 200);

        double Least(double from, double to, int steps) =>
            Enumerable.Range(0, steps + 1).Select(i => from + ((to - from) * i / steps)).MinBy(Loss);

        double Loss(double a)
        {
            double[] fused = [.. large.Select((score, x) => score + (a * (expert.Plus[x] - minus[x])))];
            return Math.Pow(Distribution.Divergence(fused, large) - forward, 2) + Math.Pow(Distribution.Divergence(large, fused) - backward, 2);
        }
    }
}
