namespace ProxyTune.Decoding.Models;

/// <summary>A token in a remote's answer.</summary>
/// <param name="Text">The text. An incomplete character can be U+FFFD, an escape, or cut off.</param>
/// <param name="Logprob">The natural logarithm of its probability; at most 0.</param>
internal readonly record struct RemoteToken(string Text, double Logprob)
{
    /// <summary>The id, which llama.cpp returns. Like the bytes of OpenAI's chat shape, it is more exact than the text.</summary>
    public int? Id { get; init; }

    public byte[]? Bytes { get; init; }
}
