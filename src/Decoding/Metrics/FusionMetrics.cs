using System.Diagnostics.Metrics;

using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Metrics;

/// <summary>What is known of every fused row without a trace.</summary>
internal static class FusionMetrics
{
    private static readonly Counter<long> Gated =
        EngineMeter.Meter.CreateCounter<long>("proxytune.fusion.gated", description: "Rows that the gate left to the base, traced or not.");

    private static readonly Counter<long> Saturated =
        EngineMeter.Meter.CreateCounter<long>("proxytune.fusion.saturated", description: "Rows where a dynamic weight stopped at its upper limit, traced or not.");

    public static void Record(Weighing weighing)
    {
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
