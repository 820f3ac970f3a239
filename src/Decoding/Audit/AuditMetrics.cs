using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Audit;

internal static class AuditMetrics
{
    private static readonly Counter<long> Audits = EngineMeter.Meter.CreateCounter<long>("proxytune.audits", description: "Audits that were begun.");

    public static void Started() => Audits.Add(1);
}
