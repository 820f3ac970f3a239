namespace ProxyTune.Decoding.Text;

/// <summary>Text to token ids and back, by Hugging Face's own library, from a tokenizer.json. Thread-safe.</summary>
public sealed class Tokenizer : IDisposable
{
    /// <summary>Reads a folder's tokenizer.json.</summary>
    /// <exception cref="EngineException">InvalidModelFolder when the file is missing or broken.</exception>
    public static Tokenizer Load(string folder) => throw new NotImplementedException(folder);

    /// <summary>Ids with special tokens recognised and the post-processor applied, as Hugging Face's <c>encode(text, add_special_tokens=True)</c>.</summary>
    public int[] Encode(string text) => throw new NotImplementedException(text);

    /// <summary>Ids with special tokens recognised but nothing added: for text from a chat template, which writes its own begin token.</summary>
    public int[] EncodeRendered(string text) => throw new NotImplementedException(text);

    /// <summary>Text without special tokens.</summary>
    public string Decode(IReadOnlyList<int> ids) => throw new NotImplementedException(ids.ToString());

    /// <summary>Begins the text of one answer, token by token.</summary>
    public TokenStream Stream() => throw new NotImplementedException();

    /// <summary>Bytes of one token, for logprobs.</summary>
    public byte[] TokenBytes(int id) => throw new NotImplementedException(id.ToString());

    public void Dispose() => throw new NotImplementedException();
}

/// <summary>Incremental detokenisation: the pieces joined equal <see cref="Tokenizer.Decode"/> of all ids, and no piece splits a character.</summary>
public sealed class TokenStream
{
    /// <summary>The text that is certain after this token; may be empty.</summary>
    public string Append(int id) => throw new NotImplementedException(id.ToString());

    /// <summary>What is left when no more tokens come (an unfinished character becomes U+FFFD).</summary>
    public string Finish() => throw new NotImplementedException();
}
