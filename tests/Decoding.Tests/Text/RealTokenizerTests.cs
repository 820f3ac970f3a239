using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Compares published tokenizers with ids from Hugging Face's libraries. The data is not part of the checkout.</summary>
public sealed class RealTokenizerTests(ITestOutputHelper output)
{
    // phi-3 has Llama 2's words and merges but puts no begin token in front.
    [Theory]
    [InlineData("distilgpt2", "distilgpt2", false)]
    [InlineData("phi-3-mini", "coreml-projects/Llama-2-7b-chat-coreml", true)]
    public void Encode_PublishedVectors_GivesHuggingFacesIds(string folder, string vectors, bool withoutBegin)
    {
        if (Tokenizers(folder) is not { } path)
        {
            return;
        }

        using Tokenizer tokenizer = Tokenizer.Load(path);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(path, "..", "vectors.json")));
        foreach (JsonElement vector in document.RootElement.GetProperty(vectors).EnumerateArray())
        {
            int[] ids = vector.GetProperty("encoded").GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32()).Skip(withoutBegin ? 1 : 0).ToArray();
            string text = vector.GetProperty("input").GetString()!;

            Assert.Equal(ids, tokenizer.Encode(text));
            Assert.Equal(text, tokenizer.Decode(ids));
        }
    }

    [Theory]
    [InlineData("distilgpt2")]
    [InlineData("smollm")]
    [InlineData("phi-3-mini")]
    public void Stream_AnyIds_PiecesJoinedEqualDecode(string folder)
    {
        if (Tokenizers(folder) is not { } path)
        {
            return;
        }

        using Tokenizer tokenizer = Tokenizer.Load(path);
        Random random = new(7);
        for (int round = 0; round < 300; round++)
        {
            // Low ids are bytes, which split characters.
            int[] ids = Enumerable.Range(0, 40).Select(_ => random.Next(random.Next(2) == 0 ? 300 : tokenizer.VocabularySize)).ToArray();
            TokenStream stream = tokenizer.Stream();
            string[] pieces = [.. ids.Select(stream.Append), stream.Finish()];
            Assert.Equal(tokenizer.Decode(ids), string.Concat(pieces));
        }
    }

    [Fact]
    public void Encode_FileWithPaddingAndTruncation_AppliesNeither()
    {
        if (Tokenizers("smollm") is not { } path)
        {
            return;
        }

        using Tokenizer tokenizer = Tokenizer.Load(path);
        string text = string.Join(' ', Enumerable.Repeat("word", 400));

        Assert.Equal(400, tokenizer.Encode(text).Length);
        Assert.Equal([1, 4093, 198, 2], tokenizer.Encode("<|im_start|>user\n<|im_end|>"));
    }

    private string? Tokenizers(string folder)
    {
        string? path = SharedData.Folder(Path.Combine("tokenizers", folder));
        if (path is null)
        {
            output.WriteLine($"Skipped: no tokenizers/{folder} in ../shared/data beside the checkout nor where {SharedData.Variable} says.");
        }

        return path;
    }
}
