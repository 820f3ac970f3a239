namespace ProxyTune.Gateway.Experts;

/// <summary>How evaluations of ported patches are run.</summary>
internal sealed record EvaluationOptions
{
    /// <summary>
    /// The trainer: a path to ProxyTune.Trainer.dll, or to its project folder, which is built when it is first needed. Null looks for
    /// <c>src/Trainer</c> above the server's own folder.
    /// </summary>
    public string? Trainer { get; init; }

    /// <summary>For one evaluation. Default 900, at least 1.</summary>
    public int TimeoutSeconds { get; init; } = 900;
}
