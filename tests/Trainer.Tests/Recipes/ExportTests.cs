using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Testing;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Recipes;

public sealed class ExportTests : IDisposable
{
    private static readonly int[] Ids = [3, 31, 4, 15, 9, 26, 5, 35];

    private readonly string folder = Tiny.NewFolder();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Run_Checkpoint_OnnxLogitsEqualTorchLogits(bool tied)
    {
        string checkpoint = Checkpoint(Tiny.TextSpec with { TiedHead = tied });
        string served = Path.Combine(folder, "served");

        Export.Run(checkpoint, null, served);

        using LlamaModel model = ModelFolder.Load(checkpoint, trainable: false);
        Tiny.AssertClose(Tiny.Logits(model, Ids), RawDecoder.Logits(served, Ids).SelectMany(row => row), 1e-4);
    }

    public static TheoryData<string[]> Targets => [.. new[] { ["q_proj"], ["v_proj", "up_proj"], ["o_proj", "down_proj"], LoraSettings.AllTargets.ToArray() }];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Run_WithAdapter_OnnxLogitsEqualTheUnmergedUpdate(string[] targets)
    {
        string checkpoint = Checkpoint(Tiny.TextSpec);
        using LlamaModel model = ModelFolder.Load(checkpoint, trainable: false);
        using LoraAdapter adapter = new(model.Spec, new LoraSettings(4, 8, targets), seed: 1);
        using (Tensor noise = randn(adapter.Parameters.Values.numel()))
        {
            adapter.Parameters.Values.add_(noise, 0.1);
        }

        (string? saved, string? served) = (Path.Combine(folder, "adapter"), Path.Combine(folder, "served"));
        AdapterFolder.Save(saved, adapter, checkpoint);

        Export.Run(checkpoint, saved, served);

        Tiny.AssertClose(Tiny.Logits(model, Ids, adapter), RawDecoder.Logits(served, Ids).SelectMany(row => row), 1e-4);
    }

    /// <summary>Compares the two forms of the demo family's folders, which are both checkpoints and servable models.</summary>
    [Fact]
    public void Run_DemoFamily_OnnxLogitsEqualTorchLogits()
    {
        string[] folders = Directory.Exists(Repository.Models) ? Directory.GetDirectories(Repository.Models) : [];
        foreach (string? folder in folders.Where(folder => File.Exists(Path.Combine(folder, "model.onnx"))))
        {
            using LlamaModel model = ModelFolder.Load(folder, trainable: false);
            Tiny.AssertClose(Tiny.Logits(model, Ids), RawDecoder.Logits(folder, Ids).SelectMany(row => row), 1e-4);
        }
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string Checkpoint(DecoderSpec config)
    {
        string folder = Tiny.SaveTextModel(Path.Combine(this.folder, "checkpoint"), config, seed: 3);
        using LlamaModel model = Tiny.Model(config);
        ModelFolder.Save(folder, model, folder);
        return folder;
    }
}
