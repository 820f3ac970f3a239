using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// From what a remote calls a token to its id, through the tokenizer that both share. A name that fits no token, or several, gives no id:
/// a wrong one would be worse than none.
/// </summary>
internal sealed partial class RemoteVocabulary
{
    private const int Several = -1;
    private const string IdPrefix = "token_id:";

    // By the token's bytes, each as one character.
    private readonly Dictionary<string, int> ids = [];
    private readonly bool[] isUsable;

    // Of others a server may show the same text for a word with its space and without: then only ids and bytes tell.
    private readonly bool textsAreExact;

    /// <param name="wholeCharactersOnly">Leave out tokens that are no text by themselves, which a prompt in text could not hold.</param>
    public RemoteVocabulary(Tokenizer tokenizer, bool wholeCharactersOnly)
    {
        textsAreExact = tokenizer.IsByteLevel;
        isUsable = new bool[tokenizer.VocabularySize];
        for (int id = 0; id < isUsable.Length; id++)
        {
            byte[] bytes = tokenizer.TokenBytes(id);
            isUsable[id] = bytes.Length > 0 && (!wholeCharactersOnly || IsText(bytes));
            string key = Encoding.Latin1.GetString(bytes);
            ids[key] = ids.ContainsKey(key) ? Several : id;
        }
    }

    public int? Find(in RemoteToken token) => Look(token) is { } id && id >= 0 && id < isUsable.Length && isUsable[id] ? id : null;

    private int? Look(in RemoteToken token) =>
        token.Id ?? (token.Bytes is { Length: > 0 } bytes ? ByBytes(bytes) : ByText(token.Text) ?? ById(token.Text) ?? ByEscapes(token.Text));

    private int? ByBytes(byte[] bytes) => ids.TryGetValue(Encoding.Latin1.GetString(bytes), out int id) ? id : null;

    // U+FFFD stands for bytes that are no character; which bytes is unknown.
    private int? ByText(string text) =>
        !textsAreExact || text.Contains('\uFFFD', StringComparison.Ordinal) ? null : ByBytes(Encoding.UTF8.GetBytes(text));

    /// <summary>vLLM's and this server's form where return_tokens_as_token_ids is asked for.</summary>
    private static int? ById(string text) =>
        text.StartsWith(IdPrefix, StringComparison.Ordinal) && int.TryParse(text.AsSpan(IdPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;

    /// <summary>OpenAI's form for parts of characters, <c>bytes:\xe4\xb8</c>, and older llama.cpp's, <c>byte: \xe4</c>.</summary>
    private int? ByEscapes(string text) => Escapes().Match(text) is { Success: true } match
        ? ByBytes([.. match.Groups["byte"].Captures.Select(capture => byte.Parse(capture.ValueSpan, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture))])
        : null;

    private static bool IsText(byte[] bytes) => System.Text.Unicode.Utf8.IsValid(bytes);

    [GeneratedRegex(@"^bytes?: ?(\\x(?<byte>[0-9a-fA-F]{2}))+$")]
    private static partial Regex Escapes();
}
