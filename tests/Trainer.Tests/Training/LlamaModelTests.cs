using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Testing;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Training;

public sealed class LlamaModelTests : IDisposable
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];

    private readonly string folder = Tiny.NewFolder();

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 4)]
    [InlineData(false, 1)]
    public void Logits_AnyHeadLayout_EqualPlainLoops(bool tied, int keyValueHeads)
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec with { TiedHead = tied, KeyValueHeads = keyValueHeads });
        ModelFolder.Save(folder, model, folder);

        IEnumerable<double> expected = new SlowLlama(folder).Logits(Ids).SelectMany(row => row);

        Tiny.AssertClose(expected, Tiny.Logits(model, Ids), 1e-4);
    }

    [Theory]
    [InlineData("""{ "model_type": "qwen3" }""", "model_type qwen3")]
    [InlineData("""{ "model_type": "llama", "rope_scaling": { "type": "linear", "factor": 2.0 } }""", "model_type llama with these fields")]
    public void Load_OtherFamilyOrFeature_IsRefusedByName(string config, string expected)
    {
        TinyCheckpoint.Write(folder, config);

        EngineException error = Assert.Throws<EngineException>(() => ModelFolder.Load(folder, trainable: false));

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Logits_RowPaddedOnTheRight_EqualTheRowAlone()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec);
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor batch = tensor([.. Ids.Select(id => (long)id), .. new long[] { 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0 }], [2, Ids.Length]);

        Tensor rows = model.Logits(model.Hidden(batch)).view(2, Ids.Length, -1);

        Tiny.AssertClose(Tiny.Logits(model, Ids), rows[0].data<float>().ToArray(), 1e-5);
        Tiny.AssertClose(Tiny.Logits(model, [7, 7, 7]), rows[1].narrow(0, 0, 3).contiguous().data<float>().ToArray(), 1e-5);
    }

    [Fact]
    public void Load_SavedModel_HasTheSameWeightsAndSpec()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec with { TiedHead = false });
        ModelFolder.Save(folder, model, folder);

        using LlamaModel loaded = ModelFolder.Load(folder, trainable: true);

        Assert.Equal(model.Spec, loaded.Spec with { EndIds = model.Spec.EndIds });
        Assert.Equal(model.Spec.EndIds, loaded.Spec.EndIds);
        Assert.True(model.Parameters.Values.Equals(loaded.Parameters.Values));
    }

    [Fact]
    public void Load_ConfigOfAnotherShape_NamesFileTensorAndShapes()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec);
        ModelFolder.Save(folder, model, folder);
        LlamaConfig.Write(folder, Tiny.Spec with { IntermediateSize = 32 });

        TrainingException error = Assert.Throws<TrainingException>(() => ModelFolder.Load(folder, trainable: false));

        Assert.Contains("model.layers.0.mlp.gate_proj.weight' is [24, 16]; the configuration asks for [32, 16]", error.Message, StringComparison.Ordinal);
        Assert.Contains(folder, error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
