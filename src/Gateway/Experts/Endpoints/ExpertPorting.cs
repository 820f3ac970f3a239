using System.Globalization;
using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Experts;

/// <summary>POST /v1/experts/{id}/port and /rollback: ports a patch to another base, and undoes it.</summary>
internal static class ExpertPorting
{
    private const string Form = "a form (multipart/form-data) with base, a file task, and where wanted at_least, name and wait";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/experts/{id}/port", PortAsync)
            .WithTags("Experts")
            .WithName("portExpert")
            .WithSummary("Judges a patch on another base by the questions of a task, and remembers whether it may be served there. For operators.")
            .Accepts<PortForm>("multipart/form-data")
            .Produces<PortObject>()
            .Produces<PortObject>(StatusCodes.Status202Accepted)
            .ProducesErrors(400, 403, 404, 409, 413, 415);

        routes.MapPost("/v1/experts/{id}/rollback", RollBackAsync)
            .WithTags("Experts")
            .WithName("rollBackExpert")
            .WithSummary("Undoes the last port of a patch: what it moved is moved back. For operators.")
            .Produces<PortObject>()
            .ProducesErrors(400, 403, 404);
    }

    private static async Task<IResult> PortAsync(string id, HttpContext http, ExpertStore store, Porting porting, Caller caller)
    {
        caller.RequireOperator("Porting");
        (PortSettings settings, bool waits) = await ReadAsync(http, store);
        Task<PortOutcome> port;
        try
        {
            TaskFile.Check(settings.Task);
            port = porting.Begin(id, settings);
        }
        catch
        {
            File.Delete(settings.Task);
            throw;
        }

        if (!waits)
        {
            return TypedResults.Json(PortObject.Running(id, settings.Base), ExpertsWire.Json.PortObject, statusCode: StatusCodes.Status202Accepted);
        }

        PortOutcome outcome = await port.WaitAsync(http.RequestAborted);
        return outcome.Port is { } judged
            ? TypedResults.Json(PortObject.Of(judged), ExpertsWire.Json.PortObject)
            : throw new EngineException(EngineError.EvaluationFailed, outcome.Failure!);
    }

    private static async Task<IResult> RollBackAsync(string id, ExpertRegistry registry, Caller caller)
    {
        caller.RequireOperator("Rolling back");
        return TypedResults.Json(PortObject.Of(await registry.RollBackAsync(id)), ExpertsWire.Json.PortObject);
    }

    private static async Task<(PortSettings Settings, bool Waits)> ReadAsync(HttpContext http, ExpertStore store)
    {
        IFormCollection form;
        try
        {
            form = await http.Request.ReadFormAsync(http.RequestAborted);
        }
        catch (InvalidDataException error)
        {
            throw new EngineException(EngineError.InvalidValue, $"The form cannot be read: {error.Message}", inner: error);
        }

        if (form.Keys.FirstOrDefault(key => key is not ("base" or "at_least" or "name" or "wait")) is { } unknown)
        {
            throw new EngineException(EngineError.InvalidValue, $"The form has a field '{unknown}'; accepted is {Form}.", unknown);
        }

        string folder = form["base"].ToString() is { Length: > 0 } given ? given : throw new EngineException(EngineError.InvalidValue, $"base is missing; accepted is {Form}.", "base");
        IFormFile task = form.Files["task"] is { Length: > 0 } file ? file : throw new EngineException(EngineError.InvalidValue, $"The file task is missing or empty; accepted is {Form}.", "task");
        double atLeast = Number(form["at_least"].ToString());
        bool waits = Truth(form["wait"].ToString());
        string path = store.TemporaryPath();
        await using (FileStream target = File.Create(path))
        {
            await task.CopyToAsync(target, http.RequestAborted);
        }

        return (new(folder, path, atLeast, form["name"].ToString() is { Length: > 0 } name ? name : null), waits);
    }

    private static double Number(string text) =>
        text.Length == 0 ? PortSettings.UsualAtLeast
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double share) && share is >= 0 and <= 1 ? share
        : throw new EngineException(EngineError.InvalidValue, $"at_least is '{text}'; accepted is a number from 0 to 1, the share of the donor's gain that has to be kept.", "at_least");

    private static bool Truth(string text) =>
        text.Length == 0 ? false
        : bool.TryParse(text, out bool truth) ? truth
        : throw new EngineException(EngineError.InvalidValue, $"wait is '{text}'; accepted are true and false.", "wait");
}
