using ProxyTune.Testing;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Recipes;

public sealed class ExportTests : IDisposable
{
    private static readonly int[] Ids = [3, 31, 4, 15, 9, 26, 5, 35];

    private readonly string _folder = Tiny.NewFolder();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Run_Checkpoint_OnnxLogitsEqualTorchLogits(bool tied)
    {
        var checkpoint = Checkpoint(Tiny.TextConfig with { TieWordEmbeddings = tied });
        var served = Path.Combine(_folder, "served");

        Export.Run(checkpoint, null, served);

        using var model = ModelFolder.Load(checkpoint, trainable: false);
        Tiny.AssertClose(Tiny.Logits(model, Ids), RawDecoder.Logits(served, Ids).SelectMany(row => row), 1e-4);
    }

    public static TheoryData<string[]> Targets => [.. new[] { ["q_proj"], ["v_proj", "up_proj"], ["o_proj", "down_proj"], LoraSettings.AllTargets.ToArray() }];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Run_WithAdapter_OnnxLogitsEqualTheUnmergedUpdate(string[] targets)
    {
        var checkpoint = Checkpoint(Tiny.TextConfig);
        using var model = ModelFolder.Load(checkpoint, trainable: false);
        using var adapter = new LoraAdapter(model.Config, new LoraSettings(4, 8, targets), seed: 1);
        using (var noise = randn(adapter.Parameters.Values.numel()))
        {
            adapter.Parameters.Values.add_(noise, 0.1);
        }

        var (saved, served) = (Path.Combine(_folder, "adapter"), Path.Combine(_folder, "served"));
        AdapterFolder.Save(saved, adapter, checkpoint);

        Export.Run(checkpoint, saved, served);

        Tiny.AssertClose(Tiny.Logits(model, Ids, adapter), RawDecoder.Logits(served, Ids).SelectMany(row => row), 1e-4);
    }

    /// <summary>The folders of the demo family are checkpoints and servable at once, so both can be compared.</summary>
    [Fact]
    public void Run_DemoFamily_OnnxLogitsEqualTorchLogits()
    {
        var folders = Directory.Exists(Repository.Models) ? Directory.GetDirectories(Repository.Models) : [];
        foreach (var folder in folders.Where(folder => File.Exists(Path.Combine(folder, "model.onnx"))))
        {
            using var model = ModelFolder.Load(folder, trainable: false);
            Tiny.AssertClose(Tiny.Logits(model, Ids), RawDecoder.Logits(folder, Ids).SelectMany(row => row), 1e-4);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Checkpoint(LlamaConfig config)
    {
        var folder = Tiny.SaveTextModel(Path.Combine(_folder, "checkpoint"), config, seed: 3);
        using var model = Tiny.Model(config);
        ModelFolder.Save(folder, model, folder);
        return folder;
    }
}
