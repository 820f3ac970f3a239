using ProxyTune.Decoding.Serving;

namespace ProxyTune.Trainer.Town;

/// <summary>Chooses settings of fusion on the validation split. The test split takes no part.</summary>
internal static class Choice
{
    /// <summary>The largest number of questions of the validation split.</summary>
    public const int MaxQuestions = 100;

    /// <summary>The candidates for a constant alpha. Of equal scores the first one wins, so the papers' 1 comes first.</summary>
    public static readonly double[] Alphas = [1, 0.8, 1.2, 1.5];

    /// <summary>The candidates for the floor of dynamic fusion, from the weight that experts are tuned for to the paper's 0.</summary>
    public static readonly double[] Floors = [1, 0.8, 0.5, 0];

    public static AskedFusion Constant(double alpha) => new() { Method = FusionMethod.Proxy.Name, Alpha = alpha };

    public static AskedFusion Dynamic(double floor, string mode = FusionDefaults.SingleMode) => new() { Method = FusionMethod.Dynamic.Name, Mode = mode, Floor = floor };

    public static async Task<double> BestAsync(IEnumerable<double> values, Func<double, Task<double>> score)
    {
        (double best, double maxScore) = (double.NaN, double.NegativeInfinity);
        foreach (double value in values)
        {
            if (await score(value) is var reached && reached > maxScore)
            {
                (best, maxScore) = (value, reached);
            }
        }

        return best;
    }
}
