using System.Text;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>A prompt as the beginning of an answer.</summary>
/// <param name="Text">The text that was sent. Ids are decoded, and a special token gives its name.</param>
/// <param name="Offsets">Where each token begins in the text, in UTF-16 units.</param>
/// <param name="IsScored">Whether the prompt's tokens get log-probabilities.</param>
internal sealed record EchoedPrompt(string Text, IReadOnlyList<int> Offsets, bool IsScored)
{
    /// <param name="sent">The prompt's text; null for a prompt of ids.</param>
    public static EchoedPrompt Of(Tokenizer tokenizer, ReadOnlySpan<int> ids, string? sent, bool isScored)
    {
        TokenStream stream = tokenizer.Stream();
        StringBuilder decoded = new();
        List<int> offsets = new(ids.Length);
        foreach (int id in ids)
        {
            offsets.Add(Math.Min(decoded.Length, sent?.Length ?? int.MaxValue));
            decoded.Append(tokenizer.IsSpecial(id) ? Name(tokenizer, id, sent, offsets[^1]) : stream.Append(id));
        }

        decoded.Append(stream.Finish());
        return new(sent ?? decoded.ToString(), offsets, isScored);
    }

    /// <summary>Empty for a token that the tokenizer added to the text, such as a begin token.</summary>
    private static string Name(Tokenizer tokenizer, int id, string? sent, int offset)
    {
        string name = Encoding.UTF8.GetString(tokenizer.TokenBytes(id));
        return sent is null || string.CompareOrdinal(sent, offset, name, 0, name.Length) == 0 ? name : "";
    }
}
