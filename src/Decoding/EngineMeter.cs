using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding;

/// <summary>The engine's instruments belong to one meter of System.Diagnostics.Metrics. Who wants the numbers listens to it by name.</summary>
public static class EngineMeter
{
    public const string Name = "ProxyTune.Decoding";

    internal static Meter Meter { get; } = new(Name);
}
