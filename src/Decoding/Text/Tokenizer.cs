using System.Buffers;
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

    // At the beginning of a text; they are copied.
    private readonly TokenDecoder whole;
    private readonly TokenDecoder stream;

    private Tokenizer(TokenizerFile file)
    {
        this.file = file;
        native = NativeTokenizer.Create(file, withPostProcessor: true);
        bare = native.Encode("").Length == 0 ? native : NativeTokenizer.Create(file, withPostProcessor: false);
        whole = TokenDecoder.Of(file.Decoder, asStream: false);
        stream = TokenDecoder.Of(file.Decoder, asStream: true);
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

    /// <summary>Text of ids, as Hugging Face's <c>decode(ids, skip_special_tokens)</c>; ids beyond the vocabulary give no text.</summary>
    /// <param name="withSpecial">Whether special tokens give their names. Default: they give no text.</param>
    public string Decode(IReadOnlyList<int> ids, bool withSpecial = false)
    {
        TokenDecoder decoder = whole.Copy();
        StringBuilder text = new();
        foreach (int id in ids)
        {
            if (TextToken(id, withSpecial) is { } token)
            {
                text.Append(decoder.Push(token));
            }
        }

        return text.Append(decoder.End()).ToString();
    }

    /// <summary>Begins the text of one answer, token by token. Not thread-safe itself.</summary>
    /// <param name="before">The tokens that the answer continues. Some decoders strip the space of a token at the beginning of a text, and here it is not the beginning.</param>
    /// <param name="withSpecial">Whether special tokens give their names. Default: they give no text.</param>
    public TokenStream Stream(ReadOnlySpan<int> before = default, bool withSpecial = false)
    {
        if (file.IsByteLevel)
        {
            return new ByteLevelStream(id => TextToken(id, withSpecial));
        }

        TokenDecoder decoder = stream.Copy();
        for (int i = FirstThatCounts(before, withSpecial); i < before.Length; i++)
        {
            if (TextToken(before[i], withSpecial) is { } token)
            {
                decoder.Push(token);
            }
        }

        decoder.Commit();
        decoder.EndBytes();
        return new DecoderStream(decoder, id => TextToken(id, withSpecial));
    }

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

        return file.ByteOf(id) is { } single ? [single] : Encoding.UTF8.GetBytes(InText(token));
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

    private string? TextToken(int id, bool withSpecial) =>
        file.Tokens.TryGetValue(id, out string? token) && (withSpecial || !file.SpecialIds.Contains(id)) ? token : null;

    /// <summary>No decoder looks back farther than a few tokens with text, or to the beginning.</summary>
    private int FirstThatCounts(ReadOnlySpan<int> before, bool withSpecial)
    {
        const int Enough = 8;
        int first = before.Length;
        for (int found = 0; first > 0 && found < Enough; first--)
        {
            found += TextToken(before[first - 1], withSpecial) is not null && file.ByteOf(before[first - 1]) is null ? 1 : 0;
        }

        return first;
    }

    /// <summary>Decoders change a token at the beginning or the end of a text, so it is decoded between two others.</summary>
    private string InText(string token)
    {
        string left = token == "a" ? "b" : "a", right = token == "c" ? "d" : "c";
        int head = Text(left).Length, tail = Text(left, right).Length - head;
        return Text(left, token, right)[head..^tail];
    }

    private string Text(params ReadOnlySpan<string> tokens)
    {
        TokenDecoder decoder = whole.Copy();
        StringBuilder text = new();
        foreach (string token in tokens)
        {
            text.Append(decoder.Push(token));
        }

        return text.Append(decoder.End()).ToString();
    }
}

/// <summary>Incremental detokenisation: each byte is given once, and no piece splits a character.</summary>
/// <remarks>
/// The pieces are those of Hugging Face's <c>DecodeStream</c>: a piece that would end in U+FFFD waits for the next token. Unlike there, a byte
/// that makes earlier ones invalid raises nothing and takes nothing back, and the rest comes when the stream ends. A token's cost does not
/// depend on the length of the text. Not thread-safe.
/// </remarks>
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

/// <summary>A byte-level vocabulary's text is the tokens' bytes in a row.</summary>
internal sealed class ByteLevelStream(Func<int, string?> tokenOf) : TokenStream
{
    private readonly StringBuilder held = new();
    private byte[] unfinished = [];

    public override string Append(int id)
    {
        if (tokenOf(id) is not { } token)
        {
            return "";
        }

        (string text, unfinished) = Utf8Text.Read([.. unfinished, .. ByteLevelAlphabet.Bytes(token)]);
        held.Append(text);
        return unfinished.Length > 0 || held.Length == 0 || held[^1] == Rune.ReplacementChar.Value ? "" : Release();
    }

    public override string Finish()
    {
        held.Append(Encoding.UTF8.GetString(unfinished));
        unfinished = [];
        return Release();
    }

    private string Release()
    {
        string piece = held.ToString();
        held.Clear();
        return piece;
    }
}

/// <summary>The part of UTF-8 that is finished.</summary>
internal static class Utf8Text
{
    /// <returns>The text, and the bytes behind it that a following byte may complete to a character.</returns>
    public static (string Text, byte[] Unfinished) Read(ReadOnlySpan<byte> bytes)
    {
        // A character has at most four bytes, so the unfinished one begins in the last three.
        for (int at = Math.Max(0, bytes.Length - 3); at < bytes.Length; at++)
        {
            if (bytes[at] >= 0xC0 && Rune.DecodeFromUtf8(bytes[at..], out _, out _) == OperationStatus.NeedMoreData)
            {
                return (Encoding.UTF8.GetString(bytes[..at]), bytes[at..].ToArray());
            }
        }

        return (Encoding.UTF8.GetString(bytes), []);
    }
}
