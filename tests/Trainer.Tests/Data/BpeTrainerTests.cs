using System.Text.Json.Nodes;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Tests.Data;

public sealed class BpeTrainerTests : IDisposable
{
    private static readonly string[] Texts = ["<|end|>low lower lowest", "new newer newest, low", "wide wider widest"];

    private readonly string folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Train_AnyText_EncodesAndDecodesToItself()
    {
        using Tokenizer tokenizer = Trained(300);

        foreach (string? text in new[] { "low newest", "wörld  two\n\n spaces ", "{\"a\": \"b\"}", "日本語 🙂" })
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.EncodeRendered(text)));
        }
    }

    [Fact]
    public void Train_SpecialToken_IsOneIdAndAddsNoMerges()
    {
        using Tokenizer tokenizer = Trained(300);

        Assert.Equal([0], tokenizer.EncodeRendered("<|end|>"));
        Assert.DoesNotContain(BpeTrainer.Train(Texts, ["<|end|>"], 300)["model"]!["vocab"]!.AsObject(), token => token.Key is "<|" or "end");
    }

    [Fact]
    public void Train_FirstMerge_IsTheMostFrequentPair()
    {
        // "lo" and "ow" occur 4 times, "ne" 3 times; "lo" comes first in ordinal order.
        JsonArray merges = BpeTrainer.Train(["low\nlow\nlow\nlow\nnew\nnew\nnew"], [], 257)["model"]!["merges"]!.AsArray();

        Assert.Equal(["l", "o"], merges.Single()!.AsArray().Select(symbol => (string)symbol!));
    }

    [Fact]
    public void Train_WordBeforePunctuationAndAlone_IsTheSameToken()
    {
        using Tokenizer tokenizer = Trained(400);

        int alone = Assert.Single(tokenizer.EncodeRendered("low"));
        Assert.Equal(alone, tokenizer.EncodeRendered("\"low\"")[1]);
        Assert.Contains(alone, tokenizer.EncodeRendered("new low."));
    }

    [Fact]
    public void Train_VocabularyBelowTheBytes_IsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train(Texts, ["<|end|>"], 256));
    }

    private Tokenizer Trained(int size)
    {
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), BpeTrainer.Train(Enumerable.Repeat(Texts, 5).SelectMany(t => t), ["<|end|>"], size).ToJsonString());
        return Tokenizer.Load(folder);
    }
}
