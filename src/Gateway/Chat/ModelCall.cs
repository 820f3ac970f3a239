using ProxyTune.Decoding;
using ProxyTune.Decoding.Catalog;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Gateway.OpenAI;

namespace ProxyTune.Gateway.Chat;

/// <summary>What a request asked of which model, settled once before anything is generated.</summary>
/// <param name="Applied">Alpha and every expert's weight, filled in; null for a model without experts.</param>
/// <param name="Created">Seconds since 1970.</param>
internal sealed record ModelCall(ServedModel Model, FusionPlan Plan, FusionFields? Applied, long Created)
{
    private const string AppliedHeader = "X-Fusion-Applied";

    /// <summary>Finds the model and settles the fusion, and tells the client in the response's headers.</summary>
    /// <exception cref="EngineException">UnknownModel, UnknownExpert, InvalidValue.</exception>
    public static ModelCall Resolve(ModelCatalog catalog, RequestFields fields, HttpContext http)
    {
        ModelName name = ModelName.Parse(fields.Model!, catalog);
        FusionSettings asked = FusionRequest.Combine(fields.Fusion, name.Alpha, http.Request.Headers[FusionRequest.Header]);
        FusionPlan plan = name.Model.Plan(asked);
        FusionFields? applied = null;
        if (name.Model.Experts.Count > 0)
        {
            FusionSettings settled = name.Model.Settle(asked);
            applied = new FusionFields { Alpha = settled.Alpha, Experts = settled.Experts };
            http.Response.Headers[AppliedHeader] = FusionRequest.Format(settled);
        }

        return new ModelCall(name.Model, plan, applied, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
    }
}
