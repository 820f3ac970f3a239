using System.Text;
using CsCheck;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Text;

public sealed class TokenizerTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("tokenizer-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Encode_ByteLevelWithSpecialTokens_FindsThem()
    {
        TinyTokenizer.WriteByteLevel(folder, TinyTokenizer.Size + 3);
        using Tokenizer tokenizer = Tokenizer.Load(folder);

        // aa, ab and ac are tokens.
        Assert.Equal([2, 5 + '\n', 5 + 256 + 1, 5 + 'x', 4], tokenizer.Encode("<|user|>\nabx<|end|>"));
        Assert.Equal(tokenizer.Encode("abx"), tokenizer.EncodeRendered("abx"));
        Assert.Equal("\nabx", tokenizer.Decode([2, 5 + '\n', 5 + 256 + 1, 5 + 'x', 4]));
        Assert.Equal(TinyTokenizer.Size + 3, tokenizer.VocabularySize);
    }

    [Fact]
    public void EncodeRendered_PostProcessorAddsBegin_LeavesItOut()
    {
        TinyTokenizer.WriteByteFallback(folder);
        using Tokenizer tokenizer = Tokenizer.Load(folder);

        int[] rendered = tokenizer.EncodeRendered("hello a");

        Assert.Equal([1, .. rendered], tokenizer.Encode("hello a"));
        Assert.DoesNotContain(1, rendered);
        Assert.Equal("hello a", tokenizer.Decode([1, .. rendered, 2]));
        Assert.Equal(1, tokenizer.EncodeRendered("<s>a")[0]);
    }

    [Fact]
    public void Encode_PaddingAndTruncationInTheFile_DoNotApply()
    {
        TinyTokenizer.WriteByteLevel(folder);
        string path = Path.Combine(folder, "tokenizer.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace(
            "\"version\":\"1.0\",",
            """
            "version":"1.0","truncation":{"direction":"Right","max_length":4,"strategy":"LongestFirst","stride":0},"padding":{"strategy":{"Fixed":4},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"<|endoftext|>"},
            """,
            StringComparison.Ordinal));
        using Tokenizer tokenizer = Tokenizer.Load(folder);

        Assert.Single(tokenizer.Encode("x"));
        Assert.Equal(9, tokenizer.EncodeRendered("123456789").Length);
    }

    [Fact]
    public void Encode_LoneSurrogate_IsAReplacementCharacter()
    {
        TinyTokenizer.WriteByteLevel(folder);
        using Tokenizer tokenizer = Tokenizer.Load(folder);

        Assert.Equal("a\uFFFDb", tokenizer.Decode(tokenizer.Encode("a\uD800b")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void DecodeAndStream_AnyIds_EqualTheLibrary(bool byteLevel)
    {
        using Tokenizer tokenizer = Open(byteLevel);
        using StreamOracle oracle = new(folder);

        Gen.Int[0, tokenizer.VocabularySize].Array[0, 40].Sample(ids => oracle.Check(tokenizer, ids), iter: 1000);
        Assert.Equal("a", tokenizer.Decode([-1, .. tokenizer.EncodeRendered("a"), 1_000_000]));
    }

    /// <summary>The text of an answer behind its prompt is what both together have more than the prompt alone.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Stream_BehindAPrompt_KeepsTheSpaceBetween(bool byteLevel)
    {
        using Tokenizer tokenizer = Open(byteLevel);
        int[] prompt = tokenizer.EncodeRendered("a lo"), both = tokenizer.EncodeRendered("a lo lo a");
        int[] answer = both[prompt.Length..];
        Assert.Equal(prompt, both[..prompt.Length]);

        TokenStream stream = tokenizer.Stream(prompt);
        Assert.Equal(" lo a", string.Concat(answer.Select(stream.Append)) + stream.Finish());

        // Without tokens before it, the answer is a text of its own.
        TokenStream alone = tokenizer.Stream();
        Assert.Equal(tokenizer.Decode(answer), string.Concat(answer.Select(alone.Append)) + alone.Finish());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Stream_AnyText_SplitsNoCharacter(bool byteLevel)
    {
        using Tokenizer tokenizer = Open(byteLevel);
        const string text = " hé😀😀 lo—生活 a  a\n";

        TokenStream stream = tokenizer.Stream();
        string[] pieces = [.. tokenizer.Encode(text).Select(stream.Append), stream.Finish()];

        Assert.Equal(text, string.Concat(pieces));
        Assert.All(pieces, piece => Assert.DoesNotContain('\uFFFD', Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(piece))));
        Assert.True(pieces.Count(p => p.Length > 0) > 5);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TokenBytes_AllTokensOfAText_JoinToIt(bool byteLevel)
    {
        using Tokenizer tokenizer = Open(byteLevel);
        const string text = "hé😀 lo a";

        byte[] bytes = tokenizer.EncodeRendered(text).SelectMany(tokenizer.TokenBytes).ToArray();

        // SentencePiece's own leading blank is stripped from texts, not from the token.
        Assert.Equal(text, Encoding.UTF8.GetString(bytes).TrimStart(' '));
        Assert.Equal("<s>", byteLevel ? "<s>" : Encoding.UTF8.GetString(tokenizer.TokenBytes(1)));
        Assert.Empty(tokenizer.TokenBytes(100_000));
    }

    [Fact]
    public void SameVocabulary_SameSizeOtherWords_IsFalse()
    {
        TinyTokenizer.WriteByteLevel(folder);
        using Tokenizer one = Tokenizer.Load(folder);
        using Tokenizer same = Tokenizer.Load(folder);
        TinyTokenizer.WriteByteLevel(folder, shift: 1);
        using Tokenizer other = Tokenizer.Load(folder);

        Assert.True(one.SameVocabulary(same));
        Assert.Equal(one.VocabularySize, other.VocabularySize);
        Assert.False(one.SameVocabulary(other));
        Assert.Equal(one.VocabularyHash, same.VocabularyHash);
        Assert.NotEqual(one.VocabularyHash, other.VocabularyHash);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":"b"},"merges":[]}}""")]
    [InlineData("""{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}""")]
    public void Load_MissingOrBrokenFile_NamesIt(string? content)
    {
        if (content is not null)
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), content);
        }

        EngineException error = Assert.Throws<EngineException>(() => Tokenizer.Load(folder));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(Path.Combine(folder, "tokenizer.json"), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Encode_FromManyThreads_GivesTheSameIds()
    {
        using Tokenizer tokenizer = Open(byteLevel: true);

        Parallel.For(0, 5000, i => Assert.Equal($"{i} {i}", tokenizer.Decode(tokenizer.Encode($"{i} {i}"))));
    }

    private Tokenizer Open(bool byteLevel)
    {
        if (byteLevel)
        {
            TinyTokenizer.WriteByteLevel(folder, TinyTokenizer.Size + 676);
        }
        else
        {
            TinyTokenizer.WriteByteFallback(folder);
        }

        return Tokenizer.Load(folder);
    }
}
