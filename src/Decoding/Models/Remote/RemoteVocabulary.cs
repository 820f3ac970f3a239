using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Maps a remote's names of tokens to ids, with the tokenizer that both share. A name that matches no token, or several tokens, has no id, since
/// a wrong id would be worse than a missing one.
/// </summary>
internal sealed partial class RemoteVocabulary
{
    private const int Several = -1;
    private const string IdPrefix = "token_id:";

    // The keys are the bytes of tokens, each byte as one character.
    private readonly Dictionary<string, int> ids = [];
    private readonly bool[] isUsable;

    // With other tokenizers a server may show the same text for a word with and without a space. Then only ids and bytes are exact.
    private readonly bool textsAreExact;

    /// <param name="wholeCharactersOnly">True leaves out tokens with incomplete characters, since a prompt in text cannot contain them.</param>
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

    // U+FFFD stands for unknown bytes.
    private int? ByText(string text) =>
        !textsAreExact || text.Contains('\uFFFD', StringComparison.Ordinal) ? null : ByBytes(Encoding.UTF8.GetBytes(text));

    /// <summary>The form of vLLM and this server for return_tokens_as_token_ids.</summary>
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
