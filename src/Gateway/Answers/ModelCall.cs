using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;

namespace ProxyTune.Gateway.Answers;

/// <summary>What a request asked of which model, settled once before anything is generated.</summary>
/// <param name="Applied">The fusion, filled in; null for a base alone of which no fusion was asked.</param>
/// <param name="Tenant">On whose behalf.</param>
/// <param name="Created">Seconds since 1970.</param>
internal sealed record ModelCall(ServedModel Model, ServedPlan Plan, SettledFusion? Applied, string Tenant, long Created)
{
    /// <summary>Finds the model and settles the fusion, and tells the client in the response's headers.</summary>
    /// <exception cref="EngineException">UnknownModel, UnknownExpert, InvalidValue, OperatorOnly.</exception>
    public static ModelCall Resolve(ServedModels served, Caller caller, RequestFields fields, HttpContext http)
    {
        ModelName name = ModelName.Parse(fields.Model!, served);
        http.Response.RegisterForDispose(name.Model.Use());
        // The body wins over the model name's suffix, which wins over the header: for each field, and for each expert.
        AskedFusion asked = (fields.Fusion ?? AskedFusion.Nothing).Over(new() { Alpha = name.Alpha }).Over(FusionHeader.Read(http.Request.Headers[FusionHeader.Name]));
        ServedPlan plan = name.Model.Plan(asked, caller.Role);
        SettledFusion? applied = null;
        if (plan.Settled.Method != FusionMethod.None || asked != AskedFusion.Nothing)
        {
            applied = plan.Settled;
            http.Response.Headers[FusionHeader.AppliedName] = FusionHeader.Format(applied, asked);
        }

        return new ModelCall(name.Model, plan, applied, caller.CacheScope(fields.CacheSalt), DateTimeOffset.UtcNow.ToUnixTimeSeconds());
    }
}
