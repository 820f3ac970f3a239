namespace ProxyTune.Decoding.Generation;

/// <summary>Counts for metrics and tests.</summary>
/// <param name="Running">Requests that hold a sequence.</param>
/// <param name="Waiting">Requests in the line.</param>
/// <param name="Steps">Steps since the start; each runs every model that is needed once.</param>
/// <param name="Tokens">Tokens drawn since the start.</param>
/// <param name="PromptTokens">Tokens of the prompts (of the base) that were taken up since the start, known beginnings among them.</param>
public readonly record struct SchedulerStatistics(int Running, int Waiting, long Steps, long Tokens, long PromptTokens)
{
    public DraftStatistics Drafts { get; init; }
}

/// <summary>What speculation brought since the start.</summary>
/// <param name="Blocks">
/// Times that a sequence took part in a step that drew tokens of it: one pass of its base, over one position or a block of guesses.
/// </param>
/// <param name="Tokens">Tokens that these drew.</param>
/// <param name="Guesses">Tokens that an expert guessed and the base scored.</param>
/// <param name="RightGuesses">Of these, those that were drawn.</param>
public readonly record struct DraftStatistics(long Blocks, long Tokens, long Guesses, long RightGuesses)
{
    /// <summary>From 0 to 1; guesses behind a wrong one count as wrong. NaN before the first.</summary>
    public double Acceptance => (double)RightGuesses / Guesses;

    /// <summary>From 1, at most 1 and the guesses of a draft. NaN before the first.</summary>
    public double TokensPerPass => (double)Tokens / Blocks;
}
