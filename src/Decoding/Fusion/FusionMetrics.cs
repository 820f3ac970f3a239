using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Fusion;

/// <summary>What is known of every fused row without a trace.</summary>
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
