namespace ProxyTune.Decoding;

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
