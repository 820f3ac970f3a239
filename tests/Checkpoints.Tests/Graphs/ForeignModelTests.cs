using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Checkpoints.Tests.Graphs;

public sealed class ForeignModelTests
{
    private static readonly int[] Prompt = [2, 77, 105, 110, 33, 4, 3];

    [Theory]
    [InlineData(ForeignKind.SeparateProjections, 16)]
    [InlineData(ForeignKind.PositionIds, 16)]
    [InlineData(ForeignKind.ExternalFiles, 16)]
    [InlineData(ForeignKind.PlainAttention, 16)]
    [InlineData(ForeignKind.PlainAttention, 24)]
    public void Create_AnyKind_LogitsEqualTheExportersModel(ForeignKind kind, int headSize)
    {
        TinyModelOptions options = new() { HeadSize = headSize, Tied = headSize == 16 };
        using TinyModel exported = TinyModel.Create(options);
        using ForeignModel foreign = ForeignModel.Create(kind, options);

        float[][] expected = RawDecoder.Logits(exported.Folder, Prompt);
        float[][] logits = RawDecoder.Logits(foreign.Folder, Prompt);

        Assert.Equal(0, expected.Zip(logits, (e, l) => e.Zip(l, (x, y) => Math.Abs(x - y)).Max()).Max(), 1e-4);
        Assert.False(File.Exists(Path.Combine(foreign.Folder, "model.safetensors")));
    }

    [Theory]
    [InlineData(ForeignKind.SeparateProjections)]
    [InlineData(ForeignKind.PositionIds)]
    [InlineData(ForeignKind.ExternalFiles)]
    [InlineData(ForeignKind.PlainAttention)]
    public void Create_AnyKind_GenAiGeneratesTheSameGreedyTokens(ForeignKind kind)
    {
        using TinyModel exported = TinyModel.Create();
        using ForeignModel foreign = ForeignModel.Create(kind);

        Assert.Equal(GenAiReference.Greedy(exported.Folder, Prompt, 20), GenAiReference.Greedy(foreign.Folder, Prompt, 20));
    }
}
