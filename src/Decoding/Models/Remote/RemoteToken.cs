namespace ProxyTune.Decoding.Models;

/// <summary>A token as a remote names it.</summary>
/// <param name="Text">As text; what is no whole character may be U+FFFD, an escape, or cut off.</param>
/// <param name="Logprob">Natural logarithm of its probability; at most 0.</param>
internal readonly record struct RemoteToken(string Text, double Logprob)
{
    /// <summary>Some remotes tell the id (llama.cpp) or the bytes (OpenAI's chat shape), which says more than the text.</summary>
    public int? Id { get; init; }

    public byte[]? Bytes { get; init; }
}
