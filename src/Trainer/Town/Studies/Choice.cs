using ProxyTune.Decoding.Serving;

namespace ProxyTune.Trainer.Town;

/// <summary>Settings that are chosen on the validation split, never on the test split.</summary>
internal static class Choice
{
    /// <summary>Most questions of the validation split.</summary>
    public const int Most = 100;

    /// <summary>Constant strengths. The first of equals is taken, so the papers' 1 leads.</summary>
    public static readonly double[] Alphas = [1, 0.8, 1.2, 1.5];

    /// <summary>Least weights of dynamic fusion: from what an expert was tuned for to the paper's none.</summary>
    public static readonly double[] Floors = [1, 0.8, 0.5, 0];

    public static AskedFusion Constant(double alpha) => new() { Method = FusionMethod.Proxy.Name, Alpha = alpha };

    public static AskedFusion Dynamic(double floor, string mode = FusionDefaults.SingleMode) => new() { Method = FusionMethod.Dynamic.Name, Mode = mode, Floor = floor };

    public static async Task<double> BestAsync(IEnumerable<double> values, Func<double, Task<double>> score)
    {
        (double best, double most) = (double.NaN, double.NegativeInfinity);
        foreach (double value in values)
        {
            if (await score(value) is var reached && reached > most)
            {
                (best, most) = (value, reached);
            }
        }

        return best;
    }
}
