namespace ProxyTune.Checkpoints;

/// <summary>Whose fault a failure is.</summary>
public enum EngineError
{
    /// <summary>No served model of that name.</summary>
    UnknownModel,

    /// <summary>The served model has no expert of that name.</summary>
    UnknownExpert,

    /// <summary>A value has the wrong type or lies outside the allowed range.</summary>
    InvalidValue,

    /// <summary>Only an operator may ask for this.</summary>
    OperatorOnly,

    /// <summary>Prompt and answer do not fit the context.</summary>
    PromptTooLong,

    /// <summary>The waiting queue is full.</summary>
    QueueFull,

    /// <summary>catalog.json is wrong; found at start-up.</summary>
    InvalidCatalog,

    /// <summary>A model folder is incomplete or does not fit; found at start-up.</summary>
    InvalidModelFolder,

    /// <summary>An uploaded file, archive, patch or model is not what an expert may be.</summary>
    InvalidExpert,

    /// <summary>No uploaded expert, or no part of an upload, of that name.</summary>
    UnknownUpload,

    /// <summary>The name exists already, or is in use.</summary>
    Conflict,

    /// <summary>An upload is larger than the limit.</summary>
    UploadTooLarge,

    /// <summary>The experts' folder is full.</summary>
    StoreFull,

    /// <summary>A patch was trained on other weights than the base's and has passed no evaluation there.</summary>
    NotEvaluated,

    /// <summary>The evaluation of a port could not be run, or gave no score.</summary>
    EvaluationFailed,

    /// <summary>The files of an uploaded expert are not those that were uploaded.</summary>
    DamagedExpert,

    /// <summary>A model threw or returned NaN in a step.</summary>
    ModelFailure,

    /// <summary>A remote base gave no answer, or not the one that was asked for, in spite of retries.</summary>
    RemoteFailure,

    /// <summary>A remote base has failed too often lately. It is not asked for a while.</summary>
    RemoteUnavailable,

    /// <summary>The client reads an answer too slowly.</summary>
    SlowReader,

    /// <summary>The engine is shutting down.</summary>
    Stopping,
}

/// <summary>The one exception type for expected failures.</summary>
/// <param name="error">Whose fault it is.</param>
/// <param name="message">Names the field or file, the value, and what would be accepted.</param>
/// <param name="field">The request field or catalogue entry that is wrong, if there is one.</param>
public sealed class EngineException(EngineError error, string message, string? field = null, Exception? inner = null)
    : Exception(message, inner)
{
    public EngineError Error { get; } = error;

    public string? Field { get; } = field;

    /// <summary>The message with the name of the file in place of its path, for readers who have no use for the path.</summary>
    public string MessageWithoutFolder { get; private init; } = message;

    /// <summary>After what time another attempt makes sense, if that is known.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Something is wrong with a file.</summary>
    /// <param name="path">Begins the message.</param>
    /// <param name="what">What is wrong with the file, and what would be accepted.</param>
    /// <param name="field">The field, tensor or node that is wrong; null for the file.</param>
    public static EngineException InFile(string path, string what, string? field = null, Exception? inner = null, EngineError error = EngineError.InvalidModelFolder) =>
        new(error, $"{path}: {what}", field ?? path, inner) { MessageWithoutFolder = $"{Path.GetFileName(path)}: {what}" };
}
