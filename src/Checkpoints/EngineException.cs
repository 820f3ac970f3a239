namespace ProxyTune.Checkpoints;

/// <summary>Whose fault a failure is; the gateway turns it into an HTTP status in one place.</summary>
public enum EngineError
{
    /// <summary>No served model of that name (404).</summary>
    UnknownModel,

    /// <summary>The served model has no expert of that name (404).</summary>
    UnknownExpert,

    /// <summary>A value has the wrong type or lies outside the allowed range (400).</summary>
    InvalidValue,

    /// <summary>Only an operator may ask for this (403).</summary>
    OperatorOnly,

    /// <summary>Prompt and answer do not fit the context (400, code context_length_exceeded).</summary>
    PromptTooLong,

    /// <summary>The waiting line is full (429).</summary>
    QueueFull,

    /// <summary>catalog.json is wrong; found at start-up.</summary>
    InvalidCatalog,

    /// <summary>A model folder is incomplete or does not fit; found at start-up.</summary>
    InvalidModelFolder,

    /// <summary>An uploaded file, archive, patch or model is not what an expert may be (400, code invalid_expert).</summary>
    InvalidExpert,

    /// <summary>No uploaded expert, or no part of an upload, of that name (404, code upload_not_found).</summary>
    UnknownUpload,

    /// <summary>It exists already, or is in use (409).</summary>
    Conflict,

    /// <summary>An upload is larger than one may be (413).</summary>
    UploadTooLarge,

    /// <summary>The experts' folder is full (507).</summary>
    StoreFull,

    /// <summary>A patch was trained on other weights than the base's and has passed no evaluation there (409).</summary>
    NotGated,

    /// <summary>The evaluation of a port could not be run, or gave no score (502).</summary>
    EvaluationFailed,

    /// <summary>The files of an uploaded expert are no longer those that came (500).</summary>
    DamagedExpert,

    /// <summary>A model threw or returned NaN in a step (500).</summary>
    ModelFailure,

    /// <summary>A base behind a network did not answer, or not with what was asked, in spite of retries (502).</summary>
    RemoteFailure,

    /// <summary>A base behind a network failed too often lately and is not asked for a while (503).</summary>
    RemoteUnavailable,

    /// <summary>The engine is shutting down (503).</summary>
    Stopping,
}

/// <summary>The one exception type for expected failures.</summary>
/// <param name="error">Whose fault it is.</param>
/// <param name="message">Names the field or file, the value, and what would be accepted.</param>
/// <param name="field">The request field or catalog entry that is wrong, where there is one.</param>
public sealed class EngineException(EngineError error, string message, string? field = null, Exception? inner = null)
    : Exception(message, inner)
{
    public EngineError Error { get; } = error;

    public string? Field { get; } = field;

    /// <summary>After what time another attempt makes sense, where that is known.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
