using ProxyTune.Gateway.Models;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Hosting;

/// <summary>GET /healthz (the process answers) and /readyz (it takes requests). Models are loaded before the port opens.</summary>
internal static class HealthEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/healthz", () => TypedResults.Json(new HealthBody("ok"), Wire.Json.HealthBody))
            .WithTags("Health")
            .WithName("health")
            .WithSummary("The process answers.")
            .Produces<HealthBody>();

        routes.MapGet("/readyz", (IHostApplicationLifetime lifetime) => lifetime.ApplicationStopping.IsCancellationRequested
                ? TypedResults.Json(new HealthBody("stopping"), Wire.Json.HealthBody, statusCode: StatusCodes.Status503ServiceUnavailable)
                : TypedResults.Json(new HealthBody("ready"), Wire.Json.HealthBody))
            .WithTags("Health")
            .WithName("ready")
            .WithSummary("Models are loaded and requests are taken; 503 while the server stops.")
            .Produces<HealthBody>()
            .Produces<HealthBody>(StatusCodes.Status503ServiceUnavailable);
    }
}
