using ProxyTune.Decoding.Catalog;
using ProxyTune.Decoding.Generation;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Settings, from appsettings.json, then PROXYTUNE_ variables (PROXYTUNE_SCHEDULER__MAXWAITING), then the command line.</summary>
internal sealed record GatewayOptions
{
    /// <summary>The models folder; null looks for <c>models</c> in the working folder and upwards.</summary>
    public string? Models { get; init; }

    /// <summary>Largest request body in bytes. Default 4 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 4 << 20;

    public EngineOptions Engine { get; init; } = new();

    public SchedulerOptions Scheduler { get; init; } = new();
}
