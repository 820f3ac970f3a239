namespace ProxyTune.Gateway.Experts;

/// <summary>How evaluations of ported patches are run.</summary>
internal sealed record EvaluationOptions
{
    /// <summary>
    /// Path of ProxyTune.Trainer.dll, or of the trainer's project folder, which is built when it is first needed. Null (default) looks for
    /// <c>src/Trainer</c> above the server's folder.
    /// </summary>
    public string? Trainer { get; init; }

    /// <summary>Time limit of one evaluation. Default 900, at least 1.</summary>
    public int TimeoutSeconds { get; init; } = 900;
}
