using System.Text;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Names that servers give to tokens, over a byte-level vocabulary: 5 special tokens, 256 bytes, then pairs of letters.</summary>
public sealed class RemoteVocabularyTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("tokenizer-");
    private readonly Tokenizer tokenizer;

    public RemoteVocabularyTests()
    {
        TinyTokenizer.WriteByteLevel(folder.FullName, TinyTokenizer.Size + 10);
        tokenizer = Tokenizer.Load(folder.FullName);
    }

    public void Dispose()
    {
        tokenizer.Dispose();
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("a", 5 + 'a')]
    [InlineData(" ", 5 + ' ')]
    [InlineData("\n", 5 + '\n')]
    [InlineData("ab", 262)]
    [InlineData("<|end|>", 4)]
    [InlineData("bytes:\\xe4", 5 + 0xe4)]
    [InlineData("byte: \\xE4", 5 + 0xe4)]
    [InlineData("token_id:262", 262)]
    [InlineData("token_id:99999", null)]
    [InlineData("token_id:-1", null)]
    [InlineData("token_id: 2", null)]
    [InlineData("\uFFFD", null)]
    [InlineData("ä", null)]
    [InlineData("nobody", null)]
    [InlineData("bytes:\\xe4\\xb8", null)]
    [InlineData("", null)]
    public void Find_Text_GivesTheOneTokenOfThatText(string text, int? id) =>
        Assert.Equal(id, new RemoteVocabulary(tokenizer, wholeCharactersOnly: false).Find(new(text, 0)));

    [Fact]
    public void Find_IdOrBytes_OverrideTheText()
    {
        RemoteVocabulary vocabulary = new(tokenizer, wholeCharactersOnly: false);
        Assert.Equal(7, vocabulary.Find(new("a", 0) { Id = 7, Bytes = [(byte)'b'] }));
        Assert.Equal(5 + 0xe4, vocabulary.Find(new("\uFFFD", 0) { Bytes = [0xe4] }));
        Assert.Null(vocabulary.Find(new("a", 0) { Id = 271 }));
        Assert.Null(vocabulary.Find(new("a", 0) { Id = -1 }));
    }

    [Fact]
    public void Find_WholeCharactersOnly_LeavesOutPartsOfCharacters()
    {
        RemoteVocabulary vocabulary = new(tokenizer, wholeCharactersOnly: true);
        Assert.Null(vocabulary.Find(new("", 0) { Bytes = [0xe4] }));
        Assert.Null(vocabulary.Find(new("", 0) { Id = 5 + 0xe4 }));
        Assert.Equal(5 + 'a', vocabulary.Find(new("a", 0)));
    }

    [Fact]
    public void Find_TextUnderAnotherKindOfTokenizer_GivesNone()
    {
        // Servers that decode each token by itself show "el" for both "el" and "▁el".
        TinyTokenizer.WriteByteFallback(folder.FullName);
        using Tokenizer pieces = Tokenizer.Load(folder.FullName);
        RemoteVocabulary vocabulary = new(pieces, wholeCharactersOnly: false);
        int el = pieces.VocabularySize - 3;
        Assert.Equal("el"u8, pieces.TokenBytes(el));
        Assert.Null(vocabulary.Find(new("el", 0)));
        Assert.Equal(el, vocabulary.Find(new($"token_id:{el}", 0)));
        Assert.Equal(el, vocabulary.Find(new("el", 0) { Bytes = [.. "el"u8] }));
    }

    [Fact]
    public void Find_TextOfTwoTokens_GivesNone()
    {
        using TemporaryCopy copy = new(folder.FullName);
        using Tokenizer doubled = copy.Edit(@"""content"":""\u003C|system|\u003E""", "\"content\":\"ab\"");
        RemoteVocabulary vocabulary = new(doubled, wholeCharactersOnly: false);
        Assert.Null(vocabulary.Find(new("ab", 0)));
        Assert.Equal(262, vocabulary.Find(new("token_id:262", 0)));
    }

    [Fact]
    public void Of_DroppedAndSurplusTokens_BoundTheMissingLogprob()
    {
        RemoteVocabulary vocabulary = new(tokenizer, wholeCharactersOnly: false);

        // The request asks for two tokens. The third is the one that the remote drew.
        RemoteRow surplus = RemoteRow.Of([new("a", -1), new("c", -9), new("b", -2)], 2, vocabulary);
        Assert.Equal((-2f, 0), (surplus.MaxMissing, surplus.Dropped));
        Assert.Equal([5 + 'a', 5 + 'c', 5 + 'b'], surplus.Ids);

        RemoteRow dropped = RemoteRow.Of([new("\uFFFD", -0.5), new("a", -2), new("b", -3)], 3, vocabulary);
        Assert.Equal((-0.5f, 1), (dropped.MaxMissing, dropped.Dropped));
        Assert.Equal([5 + 'a', 5 + 'b'], dropped.Ids);

        RemoteRow impossible = RemoteRow.Of([new("a", 0), new("b", -9999), new("c", -3.4e38)], 3, vocabulary);
        Assert.Equal([5 + 'a'], impossible.Ids);
        Assert.True(Math.Exp(impossible.MaxMissing) == 0);
    }

    private sealed class TemporaryCopy : IDisposable
    {
        private readonly DirectoryInfo copy = Directory.CreateTempSubdirectory("tokenizer-");

        public TemporaryCopy(string folder) => File.Copy(Path.Combine(folder, "tokenizer.json"), Path.Combine(copy.FullName, "tokenizer.json"));

        public Tokenizer Edit(string old, string replacement)
        {
            string path = Path.Combine(copy.FullName, "tokenizer.json");
            string text = File.ReadAllText(path, Encoding.UTF8);
            Assert.Contains(old, text, StringComparison.Ordinal);
            File.WriteAllText(path, text.Replace(old, replacement, StringComparison.Ordinal));
            return Tokenizer.Load(copy.FullName);
        }

        public void Dispose() => copy.Delete(recursive: true);
    }
}
