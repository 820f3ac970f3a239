namespace ProxyTune.Decoding.Text;

/// <summary>Incremental detokenisation: the pieces joined equal <see cref="Tokenizer.Decode"/> of all ids, and no piece splits a character.</summary>
/// <remarks>Each token costs the same however long the text is. Not thread-safe.</remarks>
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
