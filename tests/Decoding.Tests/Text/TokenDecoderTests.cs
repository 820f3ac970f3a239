using System.Text;
using System.Text.Json;
using CsCheck;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Each kind of decoder and their sequences against Hugging Face's library, for any ids.</summary>
public sealed class TokenDecoderTests : IDisposable
{
    private const string Spaces = """{"type":"Replace","pattern":{"String":"▁"},"content":" "}""";

    // Words with everything that a decoder looks for; the second is special.
    private static readonly string[] Words =
    [
        "a", "<s>", "▁a", "▁", "▁▁", "b▁", "##b", "##", ".", "'", "n't", "'s", " do not", "b</w>", "</w>", "</w>c</w>", "|", "<pad>", "é", "Ġ", "Ã", "©", "x y", "-", "--", " ", "�",
        "<0x61>", "<0xE2>", "<0x96>", "<0x81>", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0xFF>", "<0xZZ>",
    ];

    private readonly string folder = Directory.CreateTempSubdirectory("decoder-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("null")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","add_prefix_space":true}""")]
    [InlineData("""{"type":"WordPiece","prefix":"##","cleanup":true}""")]
    [InlineData("""{"type":"WordPiece","prefix":"##","cleanup":false}""")]
    [InlineData("""{"type":"BPEDecoder","suffix":"</w>"}""")]
    [InlineData("""{"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true}""")]
    [InlineData("""{"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":false}""")]
    [InlineData("""{"type":"ByteFallback"}""")]
    [InlineData("""{"type":"Fuse"}""")]
    [InlineData("""{"type":"Strip","content":"-","start":1,"stop":0}""")]
    [InlineData("""{"type":"Sequence","decoders":[%,{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[%,{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":3,"stop":0}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[%,{"type":"ByteFallback"},{"type":"Fuse"}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},%]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"Regex":"[▁|]+"},"content":"_"},{"type":"Strip","content":"_","start":1,"stop":0}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},{"type":"Strip","content":" ","start":2,"stop":0}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Sequence","decoders":[%,{"type":"Fuse"}]},{"type":"Strip","content":" ","start":1,"stop":0}]}""")]
    public void DecodeAndStream_AnyIds_EqualTheLibrary(string decoder)
    {
        Write(decoder.Replace("%", Spaces, StringComparison.Ordinal));
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        using StreamOracle oracle = new(folder);

        Gen.Int[0, Words.Length].Array[1, 24].Sample(ids => oracle.Check(tokenizer, ids), iter: 1000);
    }

    // A later token changes what the end of the text was, so the library's pieces differ; the joined text does not.
    [Theory]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Replace","pattern":{"String":"b▁"},"content":"*"}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Replace","pattern":{"Regex":"a▁+"},"content":"*"}]}""")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"WordPiece","prefix":"##","cleanup":true}]}""")]
    public void Stream_DecoderBehindFuse_JoinsToTheLibrarysText(string decoder)
    {
        Write(decoder);
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        using StreamOracle oracle = new(folder);

        Gen.Int[0, Words.Length].Array[1, 24].Sample(
            ids =>
            {
                Assert.Equal(oracle.Decode(ids), tokenizer.Decode(ids));
                TokenStream stream = tokenizer.Stream();
                int sent = ids.Sum(id => stream.Append(id).Length) + stream.Finish().Length;
                Assert.InRange(sent, oracle.Decode(ids).Length, int.MaxValue);
            },
            iter: 300);
    }

    /// <summary>Where a byte makes those before it invalid, the library raises. Here what was sent stays, and each byte is sent once.</summary>
    [Theory]
    [InlineData("<0x61> <0xFF> a", "a", "", "�a")]
    [InlineData("<0x61> <0xC3> <0xA9> <0xC3>", "a", "", "é", "", "�")]
    [InlineData("<0xC3> <0xC3> <0xA9> a", "", "", "", "���a")]
    [InlineData("<0xC3> a", "", "�a")]
    [InlineData("<0x61> <0xFF> <0x61> a <0x61>", "a", "", "", "��a", "a")]
    public void Stream_InvalidBytes_SendsEachByteOnce(string tokens, params string[] pieces)
    {
        Write($$"""{"type":"Sequence","decoders":[{{Spaces}},{"type":"ByteFallback"},{"type":"Fuse"}]}""");
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        TokenStream stream = tokenizer.Stream();
        string[] words = tokens.Split(' ');

        string[] sent = [.. words.Select(word => stream.Append(Array.IndexOf(Words, word))), stream.Finish()];

        Assert.Equal(pieces.Length == sent.Length ? pieces : [.. pieces, ""], sent);
    }

    [Theory]
    [InlineData("""{"type":"WordPiece","prefix":"##","cleanup":false}""")]
    [InlineData("""{"type":"BPEDecoder","suffix":"</w>"}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""")]
    [InlineData("null")]
    public void TokenBytes_TokensBetweenOthers_JoinToTheText(string decoder)
    {
        Write(decoder);
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        int[] all = [.. Enumerable.Range(2, 22)];

        string inner = Encoding.UTF8.GetString([.. all.SelectMany(tokenizer.TokenBytes)]);

        Assert.Contains(inner, tokenizer.Decode([0, .. all, 0]), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_UnknownDecoder_IsRefusedByName()
    {
        Write("""{"type":"Mirror"}""");

        Assert.Throws<EngineException>(() => Tokenizer.Load(folder));
    }

    /// <summary>A byte run, a text that ends in U+FFFD, and blanks that may be stripped all wait; none of them may cost more the longer it waits.</summary>
    [Theory]
    [InlineData("<0xFF>")]
    [InlineData("�")]
    [InlineData("a")]
    [InlineData("<s>")]
    public void Append_LongText_AllocatesAsMuchAtItsEndAsAtItsBeginning(string word)
    {
        Write($$"""{"type":"Sequence","decoders":[{{Spaces}},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""");
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        TokenStream stream = tokenizer.Stream();
        int id = Array.IndexOf(Words, word);

        long early = Allocated(stream, id, 2000);
        Allocated(stream, id, 100_000);
        long late = Allocated(stream, id, 2000);

        // The buffer of held text grows by chunks.
        Assert.InRange(late, 0, (early * 3 / 2) + 100_000);
    }

    private static long Allocated(TokenStream stream, int id, int tokens)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < tokens; i++)
        {
            stream.Append(id);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private void Write(string decoder) => File.WriteAllText(
        Path.Combine(folder, "tokenizer.json"),
        $$$"""
        {"version":"1.0","added_tokens":[{"id":1,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
        "decoder":{{{decoder}}},"model":{"type":"WordLevel","unk_token":"a","vocab":{{{JsonSerializer.Serialize(Words.Select((word, id) => (word, id)).ToDictionary(one => one.word, one => one.id))}}}}}
        """);
}
