using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class PrefillTests : IDisposable
{
    private const float Tolerance = 2e-5f;
    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-prefill-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Prefill_InPieces_EqualsAtOnce(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        int[] text = Rows.Random(3, 103, TinyDecoder.Vocabulary);
        using Sequence pieces = model.Start(Prompt.For(model, text.AsMemory(0, 100)));
        using Sequence other = model.Start(Prompt.For(model, new[] { 7, 8 }));
        Rows.Forward(model, new Segment(other, default));

        List<int> computed = [];
        while (model.Prefill(pieces, 30) is > 0 and var count)
        {
            computed.Add(count);
            Rows.Forward(model, new Segment(other, new[] { 9 }));
        }

        Assert.Equal([30, 30, 30], computed);
        Assert.Equal((10, 100), (pieces.Pending, pieces.Length));
        float[][] rows = [.. Rows.Forward(model, new Segment(pieces, default, 4)), .. Rows.Forward(model, new Segment(pieces, text.AsMemory(100), 3))];
        Rows.AssertEqual(Rows.Fresh(model, text, 7), rows, Tolerance);
        Assert.Equal(0, pieces.Pending);
    }

    [Fact]
    public void Prefill_AllButTheLastPosition_LastPositionJoinsTheBatch()
    {
        using OnnxLanguageModel model = Load("shared");
        int[] text = Rows.Random(4, 40, TinyDecoder.Vocabulary);
        using Sequence running = model.Start(Prompt.For(model, text.AsMemory(0, 5))), starting = model.Start(Prompt.For(model, text));
        Rows.Forward(model, new Segment(running, default));
        model.Prefill(starting, 39);
        long before = model.Runs;
        float[][] rows = Rows.Forward(model, new(running, text.AsMemory(5, 1)), new(starting, default));
        Assert.Equal(1, model.Runs - before);
        Rows.AssertEqual([Rows.Fresh(model, text[..6])[0], Rows.Fresh(model, text)[0]], rows, Tolerance);
    }

    [Theory]
    [InlineData(90, 25)]
    [InlineData(25, 90)]
    public void Prefill_StreamsOfDifferentLengths_EqualsAtOnce(int ofLarge, int ofSmall)
    {
        OnnxLanguageModel large = Load("large"), small = Load("small");
        using FusedModel fused = new("both", [large, small]);
        int[] text = Rows.Random(5, 90, TinyDecoder.Vocabulary);
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.Expert, 0.5f)]);
        Prompt prompt = new(plan, [text.AsMemory(0, ofLarge), text.AsMemory(0, ofSmall)]);
        using Sequence atOnce = fused.Start(prompt), pieces = fused.Start(prompt);

        List<int> computed = [];
        while (fused.Prefill(pieces, 20) is > 0 and var count)
        {
            computed.Add(count);
        }

        Assert.Equal([20, 20, 20, 20], computed);
        Assert.Equal(10, pieces.Pending);
        Rows.AssertEqual(Rows.Forward(fused, new Segment(atOnce, default)), Rows.Forward(fused, new Segment(pieces, default)), Tolerance);
    }

    private OnnxLanguageModel Load(string name) =>
        OnnxLanguageModel.Load(new TinyDecoder { Plain = name == "plain", Seed = name == "small" ? 2 : 1 }.Write(Path.Combine(folder, name)), new());
}
