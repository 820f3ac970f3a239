namespace ProxyTune.Peers;

/// <summary>How long to measure.</summary>
/// <param name="Streams">Numbers of requests at once.</param>
/// <param name="Tokens">Of each answer.</param>
internal sealed record PeerSettings(IReadOnlyList<int> Streams, int Rounds, int PromptTokens, int Tokens)
{
    public static PeerSettings Full { get; } = new([1, 8], 15, 32, 96);

    public static PeerSettings Quick { get; } = new([1, 8], 2, 16, 16);
}
