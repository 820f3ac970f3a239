namespace ProxyTune.Bench;

/// <summary>How long to measure.</summary>
/// <param name="Rounds">Repetitions of each figure.</param>
/// <param name="Tokens">Tokens per answer.</param>
/// <param name="FirstTokens">Requests per prompt length for the time to first token.</param>
internal sealed record Settings(int Rounds, int Tokens, int FirstTokens)
{
    public static Settings Full { get; } = new(15, 192, 100);

    public static Settings Quick { get; } = new(3, 64, 10);
}
