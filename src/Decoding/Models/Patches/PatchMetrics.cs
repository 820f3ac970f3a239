using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Models;

/// <summary>Publishes the <see cref="ResidentPatchStatistics"/> as metrics.</summary>
internal sealed class PatchMetrics : IDisposable
{
    private readonly Meter meter = new(EngineMeter.Name);

    public PatchMetrics(ResidentPatches patches)
    {
        meter.CreateObservableGauge("proxytune.patches.limit", () => patches.Statistics.Limit, "bytes", "How much the patches in memory may take.");
        meter.CreateObservableGauge("proxytune.patches.resident", () => patches.Statistics.Bytes, "bytes", "What the patches in memory take.");
        meter.CreateObservableGauge("proxytune.patches.count", () => patches.Statistics.Count, description: "Patches in memory.");
        meter.CreateObservableCounter("proxytune.patches.loads", () => patches.Statistics.Loads, description: "Patches that were asked for and had to be read.");
        meter.CreateObservableCounter("proxytune.patches.evictions", () => patches.Statistics.Evictions, description: "Patches that were forgotten to make room.");
    }

    public void Dispose() => meter.Dispose();
}
