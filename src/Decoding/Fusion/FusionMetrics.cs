using System.Diagnostics.Metrics;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Counts of fused rows, with and without traces.</summary>
internal static class FusionMetrics
{
    private static readonly Counter<long> Gated =
        EngineMeter.Meter.CreateCounter<long>("proxytune.fusion.gated", description: "Rows that the gate left to the base, traced or not.");

    private static readonly Counter<long> Saturated =
        EngineMeter.Meter.CreateCounter<long>("proxytune.fusion.saturated", description: "Rows where a dynamic weight stopped at its upper limit, traced or not.");

    private static readonly Counter<long> Unsure = EngineMeter.Meter.CreateCounter<long>(
        "proxytune.remote.unsure_choices", description: "Rows over a remote base where a token that it did not name may be the likeliest, traced or not.");

    private static readonly Histogram<double> Missing = EngineMeter.Meter.CreateHistogram(
        "proxytune.remote.missing_bound",
        description: "What tokens that a remote base did not name could have changed of a row, as total variation, traced or not.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1] });

    public static void Record(Weighing weighing)
    {
        if (weighing.Missing is { } bound)
        {
            Missing.Record(bound.TotalVariation);
            Unsure.Add(bound.KeepsLikeliest ? 0 : 1);
        }

        if (weighing.Gated is not null)
        {
            Gated.Add(1);
        }

        if (weighing.Saturated)
        {
            Saturated.Add(1);
        }
    }
}

/// <summary>Metrics of traces, over all traced tokens.</summary>
internal static class TraceMetrics
{
    private static readonly Counter<long> Tokens = Count("proxytune.trace.tokens", "Tokens that a trace explained.");
    private static readonly Counter<long> Changed = Count("proxytune.trace.changed_choices", "Traced tokens that are not the base's own likeliest.");
    private static readonly Counter<long> Saturated = Count("proxytune.trace.saturated", "Traced tokens where a dynamic weight stopped at its upper limit.");
    private static readonly Counter<long> Gated = Count("proxytune.trace.gated", "Traced tokens that the gate left to the base.");
    private static readonly Counter<long> GatedChanging = Count("proxytune.trace.gated_changing", "Gated tokens where fusion would have had another likeliest token.");

    private static readonly Histogram<double> Divergence = Distribution<double>(
        "proxytune.trace.divergence", "KL(fused, base) of traced tokens, in nats.", 0, 0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10);

    private static readonly Histogram<int> Kept = Distribution("proxytune.trace.kept", "Candidates that were left of traced tokens.", 1, 2, 5, 10, 100, 1_000, 10_000, 100_000);

    private static readonly Histogram<double> Weight = Distribution<double>(
        "proxytune.trace.weight", "Weights of traced tokens, by delta.", -2, -1, -0.5, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3);

    public static void Record(TokenTrace trace, int token)
    {
        Tokens.Add(1);
        Changed.Add(token == trace.BaseChoice ? 0 : 1);
        Saturated.Add(trace.Saturated ? 1 : 0);
        Gated.Add(trace.Gated is null ? 0 : 1);
        GatedChanging.Add(trace.Gated is { ChangesChoice: true } ? 1 : 0);
        Divergence.Record(trace.Divergence);
        Kept.Record(trace.Kept);
        foreach ((string delta, float weight) in trace.Weights)
        {
            Weight.Record(weight, new KeyValuePair<string, object?>("delta", delta));
        }
    }

    private static Counter<long> Count(string name, string description) => EngineMeter.Meter.CreateCounter<long>(name, description: description);

    private static Histogram<T> Distribution<T>(string name, string description, params T[] boundaries)
        where T : struct =>
        EngineMeter.Meter.CreateHistogram(name, description: description, advice: new InstrumentAdvice<T> { HistogramBucketBoundaries = boundaries });
}
