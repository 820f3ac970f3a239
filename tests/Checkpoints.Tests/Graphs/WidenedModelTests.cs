using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Graphs;

public sealed class WidenedModelTests
{
    private static readonly int[] Prompt = [2, 77, 105, 110, 33, 4, 3];

    public static TheoryData<Widening> Widenings =>
    [
        new(),
        new(Intermediate: 3),
        new(Heads: 2),
        new(Layers: 3),
        new(Hidden: 4),
        new(Hidden: 3),
        new(Hidden: 4, Intermediate: 2, Heads: 3, Layers: 2),
    ];

    [Theory]
    [MemberData(nameof(Widenings))]
    public void Write_AnyWidening_KeepsTheLogits(Widening widening)
    {
        using TinyModel model = TinyModel.Create(new TinyModelOptions { Tied = widening.Heads == 1 });
        string wide = Path.Combine(model.Folder, "wide");

        WidenedModel.Write(model.Folder, wide, widening);

        // With these residuals, epsilon is too small to change the logits.
        DecoderSpec before = DecoderSpec.Read(model.Folder), after = DecoderSpec.Read(wide);
        Assert.Equal(before.NormEpsilon, after.NormEpsilon * widening.Hidden, 1e-12);
        Assert.Equal(before.Layers * widening.Layers, after.Layers);
        float[][] expected = RawDecoder.Logits(model.Folder, Prompt), logits = RawDecoder.Logits(wide, Prompt);
        Assert.Equal(0, expected.Zip(logits, (e, l) => e.Zip(l, (x, y) => Math.Abs(x - y)).Max()).Max(), 2e-5);
    }
}
