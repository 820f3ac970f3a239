using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>The objective of joint fusion by plain loops: log Z(a) - sum of a_t m_t + sum of r_t / 2 (a_t - a_t*)^2.</summary>
internal sealed class JointObjective
{
    private readonly SlowDynamicFusion oracle;
    private readonly double[] alone;
    private readonly (double Mean, double Variance)[] moments;

    /// <param name="single">The single rule, which finds a_t*. Other tests check it.</param>
    public JointObjective(RandomDeltaRows rows, DynamicFusion single)
    {
        oracle = new(rows);
        alone = [.. rows.Deltas.Select((_, t) => rows.Only(t).Choose(single).Factors[0])];
        moments = [.. alone.Select((a, t) => oracle.Moments(t, [.. alone.Select((_, s) => s == t ? a : 0)]))];
    }

    public double Value(params double[] a) =>
        oracle.LogZ(a) + a.Select((x, t) => (0.005 * moments[t].Variance * Math.Pow(x - alone[t], 2)) - (x * moments[t].Mean)).Sum();

    /// <summary>Checks that all factors are in their range, and that no change of one factor within it lowers the loss.</summary>
    public void AssertMinimum(double[] a)
    {
        Assert.All(a, x => Assert.InRange(x, 0, 2));
        for (int t = 0; t < a.Length; t++)
        {
            (double mean, double variance) = oracle.Moments(t, a);
            double gradient = mean - moments[t].Mean + (0.01 * moments[t].Variance * (a[t] - alone[t]));
            double scale = Math.Sqrt(Math.Max(variance, moments[t].Variance)) + 1e-6;
            double wrong = a[t] <= 0 ? -gradient : a[t] >= 2 ? gradient : Math.Abs(gradient);
            Assert.True(wrong <= 1e-6 * scale, $"derivative {gradient} after factor {t} of {string.Join(' ', a)}, scale {scale}");
        }
    }
}
