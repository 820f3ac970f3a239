using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Text;

/// <summary>
/// Any other decoder: the new tokens are decoded after the last token that is already text, and what they add to it is the piece.
/// </summary>
/// <remarks>
/// A run of byte-fallback tokens (&lt;0xE4&gt;) is held until it ends: decoders turn the whole run into U+FFFD when any part of it is no valid UTF-8.
/// </remarks>
internal sealed class WindowStream(Tokenizer tokenizer, TokenizerFile file) : TokenStream
{
    private readonly List<int> window = [];
    private int settled;

    public override string Append(int id)
    {
        if (file.SpecialIds.Contains(id) || !file.Tokens.ContainsKey(id))
        {
            return "";
        }

        window.Add(id);
        return file.ByteOf(id) is null ? Settle() : "";
    }

    public override string Finish() => window.Count > settled ? Settle() : "";

    private string Settle()
    {
        int before = settled == 0 ? 0 : tokenizer.Decode(window[..settled]).Length;
        string piece = tokenizer.Decode(window)[before..];
        window.RemoveRange(0, window.Count - 1);
        settled = 1;
        return piece;
    }
}
