using MathNet.Numerics.Statistics;

namespace ProxyTune.Load;

/// <summary>The results of all requests at one load.</summary>
/// <param name="Name">Such as "8 clients" or "4 requests/s".</param>
/// <param name="Load">The number of clients or requests per second, for plots.</param>
internal sealed record LoadRun(string Name, double Load, IReadOnlyList<LoadResult> Results)
{
    public static readonly double[] Levels = [0.5, 0.9, 0.95, 0.99];

    public IEnumerable<LoadResult> Good => Results.Where(result => result.Failure is null);

    /// <summary>Time from the start of the run to the end of the last answer.</summary>
    public double Seconds => Results.Max(result => result.Due + result.Whole);

    public double TokensPerSecond => Good.Sum(result => result.Tokens) / Seconds;

    public double[] First => [.. Good.Where(result => result.First is not null).Select(result => 1000 * result.First!.Value)];

    public double[] Gaps => [.. Good.SelectMany(result => result.Gaps).Select(gap => 1000 * gap)];

    public double[] Whole => [.. Good.Select(result => 1000 * result.Whole)];

    /// <summary>The part of the run that used one served model.</summary>
    public LoadRun Of(string model) => this with { Name = $"{Name}, {model}", Results = [.. Results.Where(result => result.Model == model)] };

    public static double[] Percentiles(double[] values) => [.. Levels.Select(level => values.Length == 0 ? double.NaN : values.Quantile(level))];

    public object ToJson() => new
    {
        name = Name,
        requests = Results.Count,
        failures = Results.Where(result => result.Failure is not null).CountBy(result => result.Failure!).ToDictionary(),
        seconds = Seconds,
        requests_per_second = Good.Count() / Seconds,
        tokens_per_second = TokensPerSecond,
        levels = Levels,
        first_token_ms = Finite(First),
        between_tokens_ms = Finite(Gaps),
        whole_answer_ms = Finite(Whole),
    };

    private static double?[] Finite(double[] values) => [.. Percentiles(values).Select(value => double.IsFinite(value) ? value : (double?)null)];
}
