namespace ProxyTune.Decoding.Generation;

/// <summary>What a step did.</summary>
/// <param name="Tokens">Drawn.</param>
/// <param name="Blocks">How many sequences had tokens drawn.</param>
internal readonly record struct StepCount(int Tokens, int Blocks, int Guesses, int RightGuesses)
{
    /// <summary>Of one sequence.</summary>
    public static StepCount Of(int guesses, int tokens) => tokens == 0 ? default : new(tokens, 1, guesses, tokens - 1);

    public static StepCount operator +(StepCount one, StepCount other) =>
        new(one.Tokens + other.Tokens, one.Blocks + other.Blocks, one.Guesses + other.Guesses, one.RightGuesses + other.RightGuesses);
}
