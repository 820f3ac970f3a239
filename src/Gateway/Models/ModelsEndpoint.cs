using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Models;

/// <summary>GET /v1/models and /v1/models/{id}.</summary>
internal static class ModelsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/models", (ServedModels served) => TypedResults.Json(new ModelList([.. served.All.Select(Describe)]), ModelsWire.Json.ModelList))
            .WithTags("Models")
            .WithName("listModels")
            .WithSummary("Every served model with its fusion's defaults and limits.")
            .Produces<ModelList>();

        // A served model's name may hold slashes.
        routes.MapGet("/v1/models/{**id}", (string id, ServedModels served) => TypedResults.Json(Describe(served.Get(id)), ModelsWire.Json.ModelObject))
            .WithTags("Models")
            .WithName("retrieveModel")
            .WithSummary("One served model.")
            .Produces<ModelObject>()
            .ProducesErrors(404);
    }

    public static ModelObject Describe(ServedModel model) =>
        new(model.Name, model.Created.ToUnixTimeSeconds(), model.Description, model.ContextLength, model.Fingerprint)
        {
            Origin = model.Origin is { } origin ? Describe(origin) : null,
            Fusion = model.Defaults.Methods is [var only] && only == FusionMethod.None ? null : new FusionLimits(
                model.Defaults.Method.Name,
                [.. model.Defaults.Methods.Select(method => method.Name)],
                Limit(model.Defaults.Alpha),
                Limit(model.Defaults.Amplification),
                model.Experts.ToDictionary(expert => expert.Name, expert => Limit(expert.Weight)),
                model.Plan(AskedFusion.Nothing).Settled.Values),
        };

    private static ModelOrigin Describe(ImportRecord origin) => new(
        Path.GetFileName(origin.Source),
        origin.Files.Where(file => file.Value.Hash is not null && Path.GetExtension(file.Key) is ".safetensors" or ".gguf").ToDictionary(file => file.Key, file => file.Value.Hash!),
        origin.Family,
        origin.Precision,
        origin.Licence,
        origin.NotServed);

    private static WeightLimit Limit(BoundedWeight weight) => new(weight.Default, weight.Minimum, weight.Maximum);
}
