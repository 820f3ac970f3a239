using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Tests.Fusion;

internal static class OracleAssert
{
    private const double Tolerance = 1e-5;

    // The divergence is infinite if fusion draws a token that the base bans. A trace may contain a large number instead.
    private const double MaxDivergence = 9999;

    /// <summary>Checks that rows are equal up to a constant, within 1e-5 of the largest magnitude of the row. Banned and masked tokens must be equal exactly.</summary>
    public static void Row(double[] expected, ReadOnlySpan<float> actual, string what)
    {
        double constant = actual[Distribution.Likeliest(expected)] - expected.Max();
        double magnitude = expected.Where(double.IsFinite).Select(score => Math.Abs(score - expected.Max())).Append(1).Max();
        for (int id = 0; id < actual.Length; id++)
        {
            double wanted = id < expected.Length ? expected[id] + constant : double.NegativeInfinity;
            bool equal = double.IsNegativeInfinity(wanted) ? float.IsNegativeInfinity(actual[id]) : Math.Abs(wanted - actual[id]) <= Tolerance * magnitude;
            Assert.True(equal, $"{what}: token {id} has {actual[id]}, the equation gives {wanted}.");
        }
    }

    public static void Trace(OracleToken expected, OracleRows rows, TokenTrace actual, int token, string what)
    {
        Assert.Equal(expected.Weights.Keys.Order(), actual.Weights.Keys.Order());
        foreach ((string name, double weight) in expected.Weights)
        {
            Near(weight, actual.Weights[name], $"{what}: weight of {name}");
        }

        double[] ofBase = Distribution.Logprobs(rows.Base);
        int choice = Distribution.Likeliest(rows.Base);
        Near(ofBase[token], actual.Streams["base"], $"{what}: base");
        foreach (OracleExpert expert in rows.Experts.Where(e => expected.Weights.ContainsKey(e.Name)))
        {
            Near(Distribution.Logprobs(expert.Plus)[token], actual.Streams[expert.Name], $"{what}: {expert.Name}");
            if (expert.Minus is { } minus)
            {
                Near(Distribution.Logprobs(minus)[token], actual.Streams[$"{expert.Name} anti"], $"{what}: {expert.Name} anti");
            }
        }

        Other("amateur", rows.Amateur);
        Other("context", rows.WithoutContext);
        Assert.Equal(choice, actual.BaseChoice);
        Near(ofBase[choice], actual.BaseChoiceLogprob, $"{what}: the base's choice");
        Near(Math.Min(expected.Divergence, MaxDivergence), Math.Min(actual.Divergence, MaxDivergence), $"{what}: KL(fused, base)");
        Assert.True(expected.Kept == actual.Kept, $"{what}: {actual.Kept} kept, the definition keeps {expected.Kept}.");
        Assert.Equal(expected.Gate is null, actual.Gated is null);
        if (expected.Gate is { } gate)
        {
            Near(Math.Min(gate.Divergence, MaxDivergence), Math.Min(actual.Gated!.Divergence, MaxDivergence), $"{what}: KL behind the gate");
            Assert.Equal(gate.ChangesChoice, actual.Gated.ChangesChoice);
        }

        void Other(string delta, double[]? row)
        {
            string stream = delta == "context" ? "base without context" : delta;
            Assert.Equal(expected.Weights.ContainsKey(delta), actual.Streams.ContainsKey(stream));
            if (expected.Weights.ContainsKey(delta))
            {
                Near(Distribution.Logprobs(row!)[token], actual.Streams[stream], $"{what}: {stream}");
            }
        }
    }

    public static void Near(double expected, double actual, string what) =>
        Assert.True(expected == actual || Math.Abs(expected - actual) <= Tolerance * Math.Max(1, Math.Abs(expected)), $"{what} is {actual}, the equation gives {expected}.");
}
