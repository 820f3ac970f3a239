using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;

namespace ProxyTune.Gateway.Answers;

/// <summary>
/// Every request for answers goes through here. The pipeline finds the model, settles the fusion, makes the prompts, submits every choice, and writes the answers.
/// A format, such as chat, adds its request, its prompts and its writer.
/// </summary>
internal sealed class AnswerPipeline(ServedModels served, Caller caller, DecodeScheduler scheduler)
{
    private const string EngineField = "prompt";

    /// <param name="fields">The request.</param>
    /// <param name="options">What the format reads from fields of its own.</param>
    /// <param name="promptField">The request's name for its prompts: errors of the engine about a prompt name it.</param>
    /// <param name="prompts">Makes the prompts.</param>
    /// <param name="writer">Makes the writer of the answers.</param>
    /// <exception cref="EngineException">Anything that is wrong with the request or fails while it runs.</exception>
    public async Task RunAsync(
        HttpContext http, RequestFields fields, AnswerOptions options, string promptField, Func<ModelCall, AskedPrompts> prompts, Func<ModelCall, AnswerSet, IAnswerWriter> writer)
    {
        ModelCall call = ModelCall.Resolve(served, caller, fields, http);
        using AnswerSet answers = Submit(call, fields, options, promptField, prompts);
        IAnswerWriter format = writer(call, answers);
        if (fields.Stream == true)
        {
            await EventStream.RunAsync(http, stream => format.StreamAsync(stream, fields.StreamOptions?.IncludeUsage == true, http.RequestAborted));
        }
        else
        {
            await format.WriteAsync(http.Response, http.RequestAborted);
        }
    }

    private AnswerSet Submit(ModelCall call, RequestFields fields, AnswerOptions options, string promptField, Func<ModelCall, AskedPrompts> prompts)
    {
        try
        {
            return new AnswerSet(scheduler, call, new(caller.Tenant), prompts(call), fields, new GenerationRequestTemplate(fields, call.Model.VocabularySize, options));
        }
        catch (EngineException error) when (error.Field == EngineField && promptField != EngineField)
        {
            throw new EngineException(error.Error, error.Message, promptField, error);
        }
    }
}

/// <summary>Writes the answers of one request in the shape of a format.</summary>
internal interface IAnswerWriter
{
    /// <summary>Writes each piece as an event, as soon as it is certain.</summary>
    Task StreamAsync(EventStream stream, bool includeUsage, CancellationToken cancellation);

    /// <summary>Writes all answers at once, when the last one has ended.</summary>
    Task WriteAsync(HttpResponse response, CancellationToken cancellation);
}

/// <summary>The prompts of a request.</summary>
/// <param name="Echoes">What the answers to each prompt begin with; null for nothing.</param>
/// <param name="AreContinued">Whether an answer continues the text of its prompt, so that a space between them counts.</param>
internal sealed record AskedPrompts(IReadOnlyList<Prompt> Prompts, IReadOnlyList<EchoedPrompt>? Echoes = null, bool AreContinued = false);

/// <summary>A request's model and its settled fusion.</summary>
/// <param name="Applied">The fusion that the response reports; null for a base alone if the request asked for no fusion.</param>
/// <param name="Tenant">Requests of one tenant share cached prompts.</param>
/// <param name="Created">Seconds since 1970.</param>
internal sealed record ModelCall(ServedModel Model, ServedPlan Plan, SettledFusion? Applied, string Tenant, long Created)
{
    /// <summary>Finds the model and settles the fusion, and tells the client in the response's headers.</summary>
    /// <exception cref="EngineException">UnknownModel, UnknownExpert, InvalidValue, OperatorOnly.</exception>
    public static ModelCall Resolve(ServedModels served, Caller caller, RequestFields fields, HttpContext http)
    {
        ModelName name = ModelName.Parse(fields.Model!, served);
        http.Response.RegisterForDispose(name.Model.Use());
        // The body wins over the suffix of the model's name, and the suffix wins over the header. This holds for each field and each expert.
        AskedFusion asked = (fields.Fusion ?? AskedFusion.Nothing).Over(new() { Alpha = name.Alpha }).Over(FusionHeader.Read(http.Request.Headers[FusionHeader.Name], name.Model));
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

/// <summary>A request's model field: <c>name</c> or <c>name@alpha</c>, for clients that can send no field of their own.</summary>
internal readonly record struct ModelName(ServedModel Model, double? Alpha)
{
    /// <exception cref="EngineException">UnknownModel; InvalidValue where the suffix is no number.</exception>
    public static ModelName Parse(string text, ServedModels served)
    {
        int at = text.LastIndexOf('@');
        if (at < 0 || served.Contains(text))
        {
            return new ModelName(served.Get(text), null);
        }

        ServedModel model = served.Get(text[..at]);
        return FusionTable.Number(text[(at + 1)..]) is double alpha
            ? new ModelName(model, alpha)
            : throw new EngineException(
                EngineError.InvalidValue,
                $"model is '{text}'; after @ a number is accepted, as in {model.Name}@1.2.",
                "model");
    }
}
