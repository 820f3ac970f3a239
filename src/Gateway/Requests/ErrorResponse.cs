using System.Globalization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Requests;

/// <summary>The one place where a failure gets its status and wire shape.</summary>
internal sealed record ErrorResponse(int Status, ErrorBody Body)
{
    private static readonly TimeSpan SoonEnough = TimeSpan.FromSeconds(1);

    /// <summary>When to try again; sent where that may help.</summary>
    public TimeSpan RetryAfter { get; private init; } = SoonEnough;

    /// <summary>What a client is told of an exception. Unexpected ones are logged and not described.</summary>
    public static ErrorResponse For(Exception exception, HttpContext http)
    {
        switch (exception)
        {
            case EngineException { Error: not EngineError.ModelFailure } expected when !IsOwnFault(expected, http):
                if (expected.Error == EngineError.RemoteFailure)
                {
                    Logger(http).LogWarning("{Method} {Path} failed: {Cause}", http.Request.Method, http.Request.Path, expected.Message);
                }

                (int status, string code) = Classify(expected.Error);
                return Create(status, expected.Message, expected.Field, code) with { RetryAfter = expected.RetryAfter ?? SoonEnough };
            case IOException full when DiskFull.Is(full):
                Logger(http).LogError(full, "{Method} {Path} found the disk full", http.Request.Method, http.Request.Path);
                return Create(StatusCodes.Status507InsufficientStorage, "The server's disk is full. Nothing was changed; delete an expert, or ask the operator for room.", null, "disk_full");
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } tooLarge:
                return Create(tooLarge.StatusCode, "The request body is larger than this server accepts.", null, "request_too_large");
            case IOException { InnerException: OverflowException }:
                // Kestrel's exception for a chunk whose size is beyond all bounds has no status.
                return Create(StatusCodes.Status400BadRequest, "The body is in chunks, and one of them gives a size beyond all bounds.", null, null);
            case BadHttpRequestException bad:
                return Create(bad.StatusCode, bad.Message, null, null);
            default:
                Logger(http).LogError(exception, "{Method} {Path} failed", http.Request.Method, http.Request.Path);
                return Create(
                    StatusCodes.Status500InternalServerError,
                    exception is EngineException { Error: EngineError.ModelFailure } failure ? failure.Message : "The server failed; its log says why.",
                    null,
                    "internal_error");
        }
    }

    /// <summary>For statuses that routing sets without a body.</summary>
    public static ErrorResponse For(int status, HttpRequest request) => status switch
    {
        StatusCodes.Status404NotFound => Create(status, $"There is no {request.Path}.", null, "not_found"),
        StatusCodes.Status405MethodNotAllowed => Create(status, $"{request.Path} does not take {request.Method}.", null, "method_not_allowed"),
        StatusCodes.Status415UnsupportedMediaType => Create(status, $"Content-Type is {request.ContentType}; accepted is application/json, or where files are sent multipart/form-data.", null, "unsupported_media_type"),
        _ => Create(status, $"The request was refused with status {status}.", null, null),
    };

    public async Task WriteAsync(HttpContext http)
    {
        http.Response.StatusCode = Status;
        if (Status is StatusCodes.Status429TooManyRequests or >= 500)
        {
            // Without this header, clients try again at once, four times.
            http.Response.Headers.RetryAfter = Math.Ceiling(Math.Max(1, RetryAfter.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        await http.Response.WriteAsJsonAsync(Body, Wire.Json.ErrorBody);
    }

    /// <summary>Whether the server's own files are wrong. Operators name files when they serve an expert, so there it is the request's fault.</summary>
    private static bool IsOwnFault(EngineException error, HttpContext http) =>
        error.Error is EngineError.InvalidModelFolder or EngineError.InvalidCatalog && !http.Request.Path.StartsWithSegments("/v1/experts");

    private static ErrorResponse Create(int status, string message, string? field, string? code) =>
        new(status, new ErrorBody(new ErrorDetail(message, TypeOf(status), field, code)));

    private static string TypeOf(int status) => status switch
    {
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    private static (int Status, string Code) Classify(EngineError error) => error switch
    {
        EngineError.UnknownModel => (StatusCodes.Status404NotFound, "model_not_found"),
        EngineError.UnknownExpert => (StatusCodes.Status404NotFound, "expert_not_found"),
        EngineError.OperatorOnly => (StatusCodes.Status403Forbidden, "operator_only"),
        EngineError.PromptTooLong => (StatusCodes.Status400BadRequest, "context_length_exceeded"),
        EngineError.RemoteFailure => (StatusCodes.Status502BadGateway, "remote_failure"),
        EngineError.RemoteUnavailable => (StatusCodes.Status503ServiceUnavailable, "remote_unavailable"),
        EngineError.Stopping => (StatusCodes.Status503ServiceUnavailable, "stopping"),
        EngineError.InvalidExpert => (StatusCodes.Status400BadRequest, "invalid_expert"),
        EngineError.UnknownUpload => (StatusCodes.Status404NotFound, "upload_not_found"),
        EngineError.NotEvaluated => (StatusCodes.Status409Conflict, "not_gated"),
        EngineError.EvaluationFailed => (StatusCodes.Status502BadGateway, "evaluation_failed"),
        EngineError.Conflict => (StatusCodes.Status409Conflict, "conflict"),
        EngineError.UploadTooLarge => (StatusCodes.Status413PayloadTooLarge, "upload_too_large"),
        EngineError.StoreFull => (StatusCodes.Status507InsufficientStorage, "store_full"),
        EngineError.DamagedExpert => (StatusCodes.Status500InternalServerError, "expert_damaged"),
        EngineError.SlowReader => (StatusCodes.Status408RequestTimeout, "slow_reader"),
        EngineError.QueueFull => (StatusCodes.Status429TooManyRequests, "queue_full"),
        _ => (StatusCodes.Status400BadRequest, "invalid_value"),
    };

    private static ILogger Logger(HttpContext http) => http.RequestServices.GetRequiredService<ILogger<ErrorResponse>>();
}

/// <summary>Gives every failure, of routing, reading, or running, OpenAI's error body: other shapes lose their message in the clients.</summary>
internal static class ErrorMiddleware
{
    private const int ClientClosedRequest = 499;

    public static async Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http);
            if (!http.Response.HasStarted && http.Response.StatusCode >= 400 && http.Response.ContentType is null)
            {
                await ErrorResponse.For(http.Response.StatusCode, http.Request).WriteAsync(http);
            }
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected, and its sequences are freed. An answer would not be read.
            if (!http.Response.HasStarted)
            {
                http.Response.StatusCode = ClientClosedRequest;
            }
        }
        catch (Exception error) when (!http.Response.HasStarted)
        {
            http.Response.Clear();
            await ErrorResponse.For(error, http).WriteAsync(http);
        }
    }
}

/// <summary>The shape of every error: string or null fields only, which is what the official clients read.</summary>
internal sealed record ErrorBody(ErrorDetail Error);

/// <param name="Message">Names the field, the value and what is accepted.</param>
/// <param name="Type">invalid_request_error, rate_limit_error or server_error.</param>
/// <param name="Param">The field at fault.</param>
/// <param name="Code">For programs, such as context_length_exceeded.</param>
internal sealed record ErrorDetail(string Message, string Type, string? Param, string? Code);

internal static class EndpointErrors
{
    /// <summary>Documents that these statuses carry OpenAI's error shape.</summary>
    public static RouteHandlerBuilder ProducesErrors(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        foreach (int status in statuses)
        {
            endpoint.Produces<ErrorBody>(status);
        }

        return endpoint;
    }
}
