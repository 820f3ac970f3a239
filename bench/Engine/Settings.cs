namespace ProxyTune.Bench;

/// <summary>How much to measure.</summary>
/// <param name="Rounds">Measurements of each figure.</param>
/// <param name="Tokens">Length of each answer in tokens.</param>
/// <param name="FirstTokens">Requests per prompt length for the time to first token.</param>
internal sealed record Settings(int Rounds, int Tokens, int FirstTokens)
{
    public static Settings Full { get; } = new(15, 192, 100);

    public static Settings Quick { get; } = new(3, 64, 10);
}
