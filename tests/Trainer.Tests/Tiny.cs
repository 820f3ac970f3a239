using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests;

/// <summary>A model and data of test size.</summary>
internal static class Tiny
{
    public const int EndOfText = 0;

    public static LlamaConfig Config { get; } = new(
        HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2, VocabSize: 40, MaxPositionEmbeddings: 32, HeadDim: 6, EosTokenId: EndOfText);

    public static string NewFolder() => Directory.CreateTempSubdirectory("trainer-").FullName;

    /// <summary>Counting upwards from some token: something to learn.</summary>
    public static int[] Document(long index)
    {
        var random = new Random((int)index);
        var first = random.Next(Config.VocabSize);
        return [.. Enumerable.Range(first, random.Next(8, 40)).Select(i => 1 + i % (Config.VocabSize - 1))];
    }
}
