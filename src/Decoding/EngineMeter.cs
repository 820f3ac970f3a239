using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding;

/// <summary>The engine's instruments belong to one meter of System.Diagnostics.Metrics. A listener subscribes to it by name.</summary>
public static class EngineMeter
{
    public const string Name = "ProxyTune.Decoding";

    internal static Meter Meter { get; } = new(Name);
}
