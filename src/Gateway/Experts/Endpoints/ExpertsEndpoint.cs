using Microsoft.AspNetCore.Http.HttpResults;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Experts;

/// <summary>GET and DELETE /v1/experts: lists and deletes uploaded experts.</summary>
internal static class ExpertsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/experts", List)
            .WithTags("Experts")
            .WithName("listExperts")
            .WithSummary("All uploaded experts, and what is served of them. For operators.")
            .Produces<ExpertList>()
            .ProducesErrors(403);

        routes.MapGet("/v1/experts/{id}", Get)
            .WithTags("Experts")
            .WithName("getExpert")
            .WithSummary("One uploaded expert, and how it stands to each base. For operators.")
            .Produces<ExpertObject>()
            .ProducesErrors(403, 404);

        routes.MapDelete("/v1/experts/{id}", Delete)
            .WithTags("Experts")
            .WithName("deleteExpert")
            .WithSummary("Removes an expert that is not served. For operators.")
            .Produces<ExpertDeleted>()
            .ProducesErrors(403, 404, 409);
    }

    private static JsonHttpResult<ExpertList> List(ExpertStore store, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Listing experts");
        return TypedResults.Json(new ExpertList([.. store.Experts.Select(expert => ExpertObject.Of(expert, registry))], store.Bytes, store.Options.MaxBytes), ExpertsWire.Json.ExpertList);
    }

    private static JsonHttpResult<ExpertObject> Get(string id, ExpertStore store, ExpertRegistry registry, Porting porting, Caller caller)
    {
        caller.RequireOperator("Reading experts");
        ExpertObject expert = ExpertObject.Of(store.Get(id), registry);
        return TypedResults.Json(
            expert with { Fits = [.. registry.Fits(id).Select(ExpertFit.Of)], Checking = porting.IsRunning(id), Failure = porting.LastOf(id)?.Failure },
            ExpertsWire.Json.ExpertObject);
    }

    private static JsonHttpResult<ExpertDeleted> Delete(string id, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Deleting experts");
        registry.Delete(id);
        return TypedResults.Json(new ExpertDeleted(id), ExpertsWire.Json.ExpertDeleted);
    }
}
