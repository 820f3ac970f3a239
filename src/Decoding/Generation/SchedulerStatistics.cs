namespace ProxyTune.Decoding.Generation;

/// <summary>Counts for metrics and tests.</summary>
/// <param name="Running">Requests that hold a sequence.</param>
/// <param name="Waiting">Requests in the line.</param>
/// <param name="Steps">Steps since the start; each runs every model that is needed once.</param>
/// <param name="Tokens">Tokens drawn since the start.</param>
/// <param name="PromptTokens">Tokens of the prompts (of the base) that were taken up since the start, known beginnings among them.</param>
public readonly record struct SchedulerStatistics(int Running, int Waiting, long Steps, long Tokens, long PromptTokens);
