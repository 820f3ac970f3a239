using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Audit;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Audits;

/// <summary>POST /v1/audits.</summary>
internal static class AuditsEndpoint
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/audits", HandleAsync)
            .WithTags("Audits")
            .WithName("createAudit")
            .WithSummary("Finds the texts that show most what an expert learned beyond its anti-expert. For operators.")
            .Accepts<AuditRequest>("application/json")
            .Produces<AuditReport>()
            .ProducesErrors(400, 403, 404, 413, 415, 429, 503);

    private static async Task HandleAsync(HttpContext http, ServedModels served, Caller caller, DecodeScheduler scheduler)
    {
        caller.RequireOperator("Auditing");
        AuditRequest request = await RequestBody.ReadAsync(http.Request, AuditsWire.Json.AuditRequest);
        ServedModel model = served.Get(request.Model!);
        using IDisposable use = model.Use();
        AuditRun run = Settle(request);
        ExpertAudit audit = new(model, request.Expert!, new AuditSettings
        {
            Texts = run.Texts,
            MaxTokens = run.MaxTokens,
            Candidates = run.Candidates,
            Alpha = run.Alpha,
            Plausibility = run.Plausibility,
            Diversity = run.Diversity,
            Seed = unchecked((ulong)run.Seed),
        });
        IReadOnlyList<FoundText> found = await CollectAsync(audit, scheduler, run.Prompts, http.RequestAborted);
        AuditReport report = new(
            DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
            model.Name,
            request.Expert!,
            audit.Tuned,
            audit.Untuned,
            run,
            [.. found.OrderByDescending(text => text.Contrast).Select(text => Describe(text, model.Tokenizer))]);
        await http.Response.WriteAsJsonAsync(report, AuditsWire.Json.AuditReport, cancellationToken: http.RequestAborted);
    }

    private static AuditRun Settle(AuditRequest request)
    {
        if (request.Prompts is { } prompts && (prompts.Count == 0 || prompts.Contains(null)))
        {
            throw new EngineException(
                EngineError.InvalidValue, $"prompts is {(prompts.Count == 0 ? "[]" : "an array with null")}; accepted is an array of at least one string.", "prompts");
        }

        AuditSettings usual = new();
        return new AuditRun(
            request.Prompts?.OfType<string>().ToArray(),
            request.Texts ?? usual.Texts,
            request.MaxTokens ?? usual.MaxTokens,
            request.Candidates ?? usual.Candidates,
            request.Alpha ?? usual.Alpha,
            request.Plausibility ?? usual.Plausibility,
            request.Diversity ?? usual.Diversity,
            request.Seed ?? Random.Shared.NextInt64());
    }

    /// <summary>Runs the audit. An error about one prompt names the request's field prompts.</summary>
    private static async Task<IReadOnlyList<FoundText>> CollectAsync(
        ExpertAudit audit, DecodeScheduler scheduler, IReadOnlyList<string>? prompts, CancellationToken cancellation)
    {
        try
        {
            List<FoundText> found = [];
            await foreach (FoundText text in audit.RunAsync(scheduler, prompts, cancellation))
            {
                found.Add(text);
            }

            return found;
        }
        catch (EngineException error) when (error.Field is "prompt" or "messages")
        {
            throw new EngineException(error.Error, error.Message, "prompts", error);
        }
    }

    private static AuditedText Describe(FoundText text, Tokenizer tokenizer) => new(
        text.Text,
        text.Prompt,
        text.Contrast,
        text.Contrast / text.Tokens,
        text.Tokens,
        new AuditedToken(TokenText.Of(tokenizer, text.Strongest.Id), text.Strongest.Id, text.Strongest.Contrast),
        text.Order);
}
