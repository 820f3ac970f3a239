namespace ProxyTune.Peers;

/// <summary>How much the comparison measures.</summary>
/// <param name="Streams">Numbers of requests at once.</param>
/// <param name="Rounds">Measurements of each engine.</param>
/// <param name="PromptTokens">Length of each prompt in tokens.</param>
/// <param name="Tokens">Length of each answer in tokens.</param>
internal sealed record PeerSettings(IReadOnlyList<int> Streams, int Rounds, int PromptTokens, int Tokens)
{
    public static PeerSettings Full { get; } = new([1, 8], 15, 32, 96);

    public static PeerSettings Quick { get; } = new([1, 8], 2, 16, 16);
}
