using ProxyTune.Testing;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Training;

public sealed class LlamaModelTests : IDisposable
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];

    private readonly string _folder = Tiny.NewFolder();

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 4)]
    [InlineData(false, 1)]
    public void Logits_AnyHeadLayout_EqualPlainLoops(bool tied, int keyValueHeads)
    {
        using var model = Tiny.Model(Tiny.Config with { TieWordEmbeddings = tied, NumKeyValueHeads = keyValueHeads });
        ModelFolder.Save(_folder, model, _folder);

        var expected = new SlowLlama(_folder).Logits(Ids).SelectMany(row => row);

        Tiny.AssertClose(expected, Tiny.Logits(model, Ids), 1e-4);
    }

    [Fact]
    public void Logits_RowPaddedOnTheRight_AreThoseOfTheRowAlone()
    {
        using var model = Tiny.Model(Tiny.Config);
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var batch = tensor([.. Ids.Select(id => (long)id), .. new long[] { 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0 }], [2, Ids.Length]);

        var rows = model.Logits(model.Hidden(batch)).view(2, Ids.Length, -1);

        Tiny.AssertClose(Tiny.Logits(model, Ids), rows[0].data<float>().ToArray(), 1e-5);
        Tiny.AssertClose(Tiny.Logits(model, [7, 7, 7]), rows[1].narrow(0, 0, 3).contiguous().data<float>().ToArray(), 1e-5);
    }

    [Fact]
    public void Load_SavedModel_HasTheSameWeightsAndConfig()
    {
        using var model = Tiny.Model(Tiny.Config with { TieWordEmbeddings = false });
        ModelFolder.Save(_folder, model, _folder);

        using var loaded = ModelFolder.Load(_folder, trainable: true);

        Assert.Equal(model.Config, loaded.Config);
        Assert.True(model.Parameters.Values.Equals(loaded.Parameters.Values));
    }

    [Fact]
    public void Load_ConfigOfAnotherShape_NamesFileTensorAndShapes()
    {
        using var model = Tiny.Model(Tiny.Config);
        ModelFolder.Save(_folder, model, _folder);
        (Tiny.Config with { IntermediateSize = 32 }).Save(Path.Combine(_folder, "config.json"));

        var error = Assert.Throws<TrainingException>(() => ModelFolder.Load(_folder, trainable: false));

        Assert.Contains("model.layers.0.mlp.gate_proj.weight' is [24, 16]; the configuration asks for [32, 16]", error.Message, StringComparison.Ordinal);
        Assert.Contains(_folder, error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
