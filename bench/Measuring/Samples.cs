using System.Globalization;
using MathNet.Numerics.Statistics;

namespace ProxyTune.Measuring;

/// <summary>The values of one figure, one per round.</summary>
public sealed record Samples(IReadOnlyList<double> Values)
{
    public double Median => Values.Median();

    /// <summary>
    /// Takes every measurement once per round, in a random order that changes with the round. So a slow phase of the machine affects all of
    /// them, and none always follows the same one. A warm-up round comes first and is not counted.
    /// </summary>
    public static async Task<Samples[]> InterleaveAsync(int rounds, params Func<Task<double>>[] measurements)
    {
        List<double>[] values = [.. measurements.Select(_ => new List<double>())];
        int[] order = [.. Enumerable.Range(0, measurements.Length)];
        Random random = new(1);
        for (int round = -1; round < rounds; round++)
        {
            random.Shuffle(order);
            foreach (int which in order)
            {
                double value = await measurements[which]();
                if (round >= 0)
                {
                    values[which].Add(value);
                }
            }
        }

        return [.. values.Select(list => new Samples(list))];
    }

    /// <summary>The values in another unit.</summary>
    public Samples Times(double factor) => new([.. Values.Select(value => value * factor)]);

    /// <summary>The ratio for each round, in which the slowdown of a whole round cancels.</summary>
    public Samples Over(Samples other) => new([.. Values.Zip(other.Values, (a, b) => a / b)]);

    /// <summary>The median, with the quartiles in brackets.</summary>
    public string Show(string format) => $"{Text(Median, format)} ({Text(Values.LowerQuartile(), format)} to {Text(Values.UpperQuartile(), format)})";

    /// <summary>The 95 % percentile bootstrap interval of the median: rounds are resampled with replacement.</summary>
    public (double Low, double High) Interval()
    {
        const int Draws = 4000;
        Random random = new(1);
        double[] medians = [.. Enumerable.Range(0, Draws).Select(_ => Enumerable.Range(0, Values.Count).Select(_ => Values[random.Next(Values.Count)]).Median())];
        return (medians.Quantile(0.025), medians.Quantile(0.975));
    }

    public string ShowInterval(string format) => Interval() is var (low, high) ? $"[{Text(low, format)}, {Text(high, format)}]" : "";

    public string ShowTail(string format) => Text(Values.Quantile(0.95), format);

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
