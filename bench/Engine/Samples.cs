using System.Globalization;

using MathNet.Numerics.Statistics;

namespace ProxyTune.Bench;

/// <summary>One figure, measured several times.</summary>
internal sealed record Samples(IReadOnlyList<double> Values)
{
    public double Median => Values.Median();

    /// <summary>
    /// Takes every measurement once per round, in an order that rotates, so that a slow spell of the machine meets all of them. One round
    /// before the first only warms up.
    /// </summary>
    public static async Task<Samples[]> InterleaveAsync(int rounds, params Func<Task<double>>[] measurements)
    {
        List<double>[] values = [.. measurements.Select(_ => new List<double>())];
        for (int round = -1; round < rounds; round++)
        {
            for (int i = 0; i < measurements.Length; i++)
            {
                int which = (i + round + 1) % measurements.Length;
                double value = await measurements[which]();
                if (round >= 0)
                {
                    values[which].Add(value);
                }
            }
        }

        return [.. values.Select(list => new Samples(list))];
    }

    /// <summary>Round by round, so that what slowed a whole round cancels.</summary>
    public Samples Over(Samples other) => new([.. Values.Zip(other.Values, (a, b) => a / b)]);

    /// <summary>Median, and the quartiles in brackets.</summary>
    public string Show(string format) => $"{Text(Median, format)} ({Text(Values.LowerQuartile(), format)} to {Text(Values.UpperQuartile(), format)})";

    public string ShowTail(string format) => Text(Values.Quantile(0.95), format);

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
