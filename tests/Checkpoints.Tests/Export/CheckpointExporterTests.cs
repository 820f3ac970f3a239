using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Export;

public sealed class CheckpointExporterTests
{
    private static readonly int[] Prompt = [2, 77, 105, 110, 33, 4, 3];

    public static TheoryData<TinyModelOptions> Models =>
    [
        new(),
        new() { Tied = false, Seed = 2 },
        new() { HeadSize = 8, Seed = 3 },
        new() { HeadSize = 24, Heads = 2, KeyValueHeads = 1, Seed = 4, RopeTheta = 500_000 },
        new() { KeyValueHeads = 4, Layers = 1, Vocabulary = 300, TokenizerSize = 290 },
    ];

    [Theory]
    [MemberData(nameof(Models))]
    public void Export_AnyShape_LogitsEqualThePlainLoops(TinyModelOptions options)
    {
        using TinyModel model = TinyModel.Create(options);

        float[][] logits = RawDecoder.Logits(model.Folder, Prompt);

        double[][] expected = new SlowLlama(model.Folder).Logits(Prompt);
        Assert.Equal(Prompt.Length, logits.Length);
        Assert.Equal(0, expected.Zip(logits, (e, l) => e.Zip(l, (x, y) => Math.Abs(x - y)).Max()).Max(), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Export_AnyShape_GenAiGeneratesTheSameGreedyTokens(TinyModelOptions options)
    {
        using TinyModel model = TinyModel.Create(options with { EndIds = [0] });

        int[] expected = new SlowLlama(model.Folder).Greedy(Prompt, 20);
        int[] generated = GenAiReference.Greedy(model.Folder, Prompt, 20);

        Assert.Equal(expected.TakeWhile(id => id != 0), generated.TakeWhile(id => id != 0));
        Assert.True(generated.Length > 3);
    }
}
