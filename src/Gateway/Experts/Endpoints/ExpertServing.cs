using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Models;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Experts;

/// <summary>POST /v1/experts/{id}/serve and /retire: serves experts under names, and stops it.</summary>
internal static class ExpertServing
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/experts/{id}/serve", ServeAsync)
            .WithTags("Experts")
            .WithName("serveExpert")
            .WithSummary("Serves an expert under a name, at once and after restarts too. For operators.")
            .Accepts<ServeRequest>("application/json")
            .Produces<ModelObject>()
            .ProducesErrors(400, 403, 404, 409, 413, 415);

        routes.MapPost("/v1/experts/{id}/retire", RetireAsync)
            .WithTags("Experts")
            .WithName("retireExpert")
            .WithSummary("Stops serving a name of an expert, or all of them; running requests are not touched. For operators.")
            .Accepts<RetireRequest>("application/json")
            .Produces<RetireAnswer>()
            .ProducesErrors(400, 403, 404, 413, 415);
    }

    private static async Task<IResult> ServeAsync(string id, HttpContext http, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Serving experts");
        ServeRequest request = await RequestBody.ReadAsync(http.Request, ExpertsWire.Json.ServeRequest);
        ServedModel model = await registry.ServeAsync(id, new ServeSettings
        {
            Name = request.Name,
            Base = request.Base,
            Weight = request.Weight,
            Patches = request.Patches,
            Ungated = request.Ungated == true,
            Entry = request.Entry,
        });
        return TypedResults.Json(ModelsEndpoint.Describe(model), ModelsWire.Json.ModelObject);
    }

    private static async Task<IResult> RetireAsync(string id, HttpContext http, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Retiring experts");
        RetireRequest request = await RequestBody.ReadAsync(http.Request, ExpertsWire.Json.RetireRequest);
        return TypedResults.Json(new RetireAnswer(id, await registry.RetireAsync(id, request.Name)), ExpertsWire.Json.RetireAnswer);
    }
}
