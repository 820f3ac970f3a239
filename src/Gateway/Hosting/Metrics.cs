using OpenTelemetry.Metrics;
using ProxyTune.Decoding;

namespace ProxyTune.Gateway.Hosting;

/// <summary>GET /metrics: the engine's instruments and the web server's, in Prometheus' text form.</summary>
internal static class Metrics
{
    private const string WebServerMeter = "Microsoft.AspNetCore.Hosting";

    public static void Add(IServiceCollection services) =>
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(EngineMeter.Name, WebServerMeter)
            // Each scrape reads the current values, which takes milliseconds.
            .AddPrometheusExporter(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0));

    public static void Map(IEndpointRouteBuilder routes) => routes.MapPrometheusScrapingEndpoint("/metrics");
}
