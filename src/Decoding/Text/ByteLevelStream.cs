using System.Text;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Text;

/// <summary>A byte-level vocabulary's text is the tokens' bytes in a row, so the framework's own incremental UTF-8 decoder does the work.</summary>
internal sealed class ByteLevelStream(TokenizerFile file) : TokenStream
{
    private readonly Decoder utf8 = Encoding.UTF8.GetDecoder();

    public override string Append(int id) =>
        file.SpecialIds.Contains(id) || !file.Tokens.TryGetValue(id, out string? token) ? "" : Read(ByteLevelAlphabet.Bytes(token), flush: false);

    public override string Finish() => Read([], flush: true);

    private string Read(byte[] bytes, bool flush)
    {
        // A held-back start of a character may come out as well, as one U+FFFD per byte at most.
        char[] chars = new char[bytes.Length + 4];
        return new string(chars, 0, utf8.GetChars(bytes, chars, flush));
    }
}
