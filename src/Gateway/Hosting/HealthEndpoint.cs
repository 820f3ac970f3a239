using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using ProxyTune.Decoding.Generation;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Hosting;

/// <summary>GET /healthz (the process answers) and /readyz (it takes requests). Models are loaded before the port opens.</summary>
internal static class HealthEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/healthz", () => TypedResults.Json(new HealthBody("ok"), HealthWire.Json.HealthBody))
            .WithTags("Health")
            .WithName("health")
            .WithSummary("The process answers.")
            .Produces<HealthBody>();

        routes.MapGet("/readyz", (IHostApplicationLifetime lifetime, DecodeScheduler scheduler) => lifetime.ApplicationStopping.IsCancellationRequested ? NotReady("stopping")
                : scheduler.Failure is not null ? NotReady("broken")
                : TypedResults.Json(new HealthBody("ready"), HealthWire.Json.HealthBody))
            .WithTags("Health")
            .WithName("ready")
            .WithSummary("Models are loaded and requests are taken; 503 while the server stops, or if a decode loop is broken.")
            .Produces<HealthBody>()
            .Produces<HealthBody>(StatusCodes.Status503ServiceUnavailable);

        static JsonHttpResult<HealthBody> NotReady(string status) =>
            TypedResults.Json(new HealthBody(status), HealthWire.Json.HealthBody, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}

/// <param name="Status">ok, ready, stopping or broken.</param>
internal sealed record HealthBody(string Status);

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(HealthBody))]
internal sealed partial class HealthWire : JsonSerializerContext
{
    public static HealthWire Json { get; } = new(Wire.NewOptions());
}
