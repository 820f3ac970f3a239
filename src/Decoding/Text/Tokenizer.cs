using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using HuggingFaceTokenizer = Tokenizers.DotNet.Tokenizer;

namespace ProxyTune.Decoding.Text;

/// <summary>Text to token ids and back, by Hugging Face's own library, from a tokenizer.json.</summary>
/// <remarks>
/// Thread-safe. Ignores the padding and truncation of a tokenizer.json, like transformers by default: a served prompt is neither cut nor
/// filled up.
/// </remarks>
public sealed class Tokenizer : IDisposable
{
    private readonly TokenizerFile file;
    private readonly HuggingFaceTokenizer native;

    // Without the post-processor; the same object if the post-processor adds nothing.
    private readonly HuggingFaceTokenizer bare;
    private readonly Lazy<int?> anchor;

    private Tokenizer(TokenizerFile file)
    {
        this.file = file;
        native = NativeTokenizer.Create(file, withPostProcessor: true);
        bare = native.Encode("").Length == 0 ? native : NativeTokenizer.Create(file, withPostProcessor: false);
        anchor = new Lazy<int?>(FindAnchor);
    }

    /// <summary>Whether a text is its tokens' bytes in a row.</summary>
    public bool IsByteLevel => file.IsByteLevel;

    /// <summary>Largest token id plus one.</summary>
    public int VocabularySize => file.VocabularySize;

    /// <summary>Reads a folder's tokenizer.json.</summary>
    /// <exception cref="EngineException">InvalidModelFolder when the file is missing or broken.</exception>
    public static Tokenizer Load(string folder)
    {
        string path = Path.Combine(folder, FileNames.Tokenizer);
        try
        {
            return new Tokenizer(TokenizerFile.Read(path));
        }
        catch (Exception error) when (error is not EngineException)
        {
            throw EngineException.InFile(path, error.Message, inner: error);
        }
    }

    /// <summary>Ids with special tokens recognised and the post-processor applied, as Hugging Face's <c>encode(text, add_special_tokens=True)</c>.</summary>
    /// <param name="text">Lone surrogates are read as U+FFFD.</param>
    public int[] Encode(string text) => Encode(native, text);

    /// <summary>Ids with special tokens recognised but nothing added: for text from a chat template, which writes its own begin token.</summary>
    public int[] EncodeRendered(string text) => Encode(bare, text);

    /// <summary>Text without special tokens, as Hugging Face's <c>decode(ids, skip_special_tokens=True)</c>; ids beyond the vocabulary give no text.</summary>
    public string Decode(IReadOnlyList<int> ids)
    {
        uint[] native = new uint[ids.Count];
        for (int i = 0; i < native.Length; i++)
        {
            native[i] = (uint)ids[i];
        }

        return this.native.Decode(native);
    }

    /// <summary>Begins the text of one answer, token by token. Not thread-safe itself.</summary>
    /// <param name="before">The tokens that the answer continues. Some decoders strip the space of a token at the beginning of a text, and here it is not the beginning.</param>
    public TokenStream Stream(ReadOnlySpan<int> before = default) => file.IsByteLevel ? new ByteLevelStream(file) : new WindowStream(this, file, before);

    /// <summary>The ids of special tokens, such as those that begin or end a text.</summary>
    public IReadOnlyCollection<int> SpecialIds => file.SpecialIds;

    /// <summary>Whether decoding leaves a token out, such as a chat template's marks.</summary>
    public bool IsSpecial(int id) => file.SpecialIds.Contains(id);

    /// <summary>What a token adds inside a text, for logprobs; a special token gives its name. Empty beyond the vocabulary.</summary>
    public byte[] TokenBytes(int id)
    {
        if (!file.Tokens.TryGetValue(id, out string? token) || file.SpecialIds.Contains(id))
        {
            return Encoding.UTF8.GetBytes(token ?? "");
        }

        if (file.IsByteLevel)
        {
            return ByteLevelAlphabet.Bytes(token);
        }

        if (file.ByteOf(id) is { } single)
        {
            return [single];
        }

        // Decoders strip a token's space at the start of a text, so it is decoded after another token.
        return this.anchor.Value is not { } anchor
            ? Encoding.UTF8.GetBytes(Decode([id]))
            : Encoding.UTF8.GetBytes(Decode([anchor, id])[Decode([anchor]).Length..]);
    }

    /// <summary>SHA-256 over the map of tokens in the order of their ids, lower-case hex: equal where <see cref="SameVocabulary"/> holds.</summary>
    public string VocabularyHash => file.VocabularyHash;

    /// <summary>Whether both map the same tokens to the same ids; equal sizes alone say nothing.</summary>
    public bool SameVocabulary(Tokenizer other) => file.SameVocabulary(other.file);

    public void Dispose()
    {
        native.Dispose();
        if (bare != native)
        {
            bare.Dispose();
        }
    }

    private static int[] Encode(HuggingFaceTokenizer native, string text)
    {
        // The native library refuses text that is not valid UTF-16.
        string valid = text.Any(char.IsSurrogate) ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) : text;
        return Array.ConvertAll(native.Encode(valid), id => (int)id);
    }

    private int? FindAnchor() => file.Tokens.Keys.Order()
        .Where(id => !file.SpecialIds.Contains(id) && file.ByteOf(id) is null && Decode([id]).Length > 0)
        .Select(id => (int?)id)
        .FirstOrDefault();
}

/// <summary>Incremental detokenisation: the pieces joined equal <see cref="Tokenizer.Decode"/> of all ids, and no piece splits a character.</summary>
/// <remarks>A token's cost does not depend on the length of the text. Not thread-safe.</remarks>
public abstract class TokenStream
{
    private protected TokenStream()
    {
    }

    /// <summary>The text that is certain after this token; may be empty.</summary>
    public abstract string Append(int id);

    /// <summary>What is left when no more tokens come (an unfinished character becomes U+FFFD).</summary>
    public abstract string Finish();
}

/// <summary>A byte-level vocabulary's text is the tokens' bytes in a row, so the framework's own incremental UTF-8 decoder does the work.</summary>
internal sealed class ByteLevelStream(TokenizerFile file) : TokenStream
{
    private readonly Decoder utf8 = Encoding.UTF8.GetDecoder();

    public override string Append(int id) =>
        file.SpecialIds.Contains(id) || !file.Tokens.TryGetValue(id, out string? token) ? "" : Read(ByteLevelAlphabet.Bytes(token), flush: false);

    public override string Finish() => Read([], flush: true);

    private string Read(byte[] bytes, bool flush)
    {
        // An unfinished character may be released too, as at most one U+FFFD for each byte.
        char[] chars = new char[bytes.Length + 4];
        return new string(chars, 0, utf8.GetChars(bytes, chars, flush));
    }
}

/// <summary>
/// For any other decoder: it decodes the last settled token with the new tokens behind it. The text that the new tokens add is the piece.
/// </summary>
/// <remarks>
/// A run of byte-fallback tokens (&lt;0xE4&gt;) is held until it ends: decoders turn the whole run into U+FFFD if any part of it is not valid UTF-8.
/// </remarks>
internal sealed class WindowStream : TokenStream
{
    private readonly Tokenizer tokenizer;
    private readonly TokenizerFile file;
    private readonly List<int> window = [];
    private int settled;

    public WindowStream(Tokenizer tokenizer, TokenizerFile file, ReadOnlySpan<int> before)
    {
        (this.tokenizer, this.file) = (tokenizer, file);
        if (!before.IsEmpty && before[^1] is var last && file.Tokens.ContainsKey(last) && !file.SpecialIds.Contains(last) && file.ByteOf(last) is null)
        {
            window.Add(last);
            settled = 1;
        }
    }

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
