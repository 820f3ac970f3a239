using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Trainer.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Training;

public sealed class LoraAdapterTests : IDisposable
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6];

    private readonly string folder = Tiny.NewFolder();

    [Fact]
    public void Logits_FreshUpdate_EqualTheBase()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec);
        using LoraAdapter adapter = new(Tiny.Spec, new LoraSettings(4, 8), seed: 1);

        Assert.Equal(Tiny.Logits(model, Ids), Tiny.Logits(model, Ids, adapter));
    }

    [Fact]
    public void Save_Adapter_IsAPatchOfTheSameWeights()
    {
        using LoraAdapter adapter = Adapter(["q_proj", "down_proj"]);
        AdapterFolder.Save(folder, adapter, folder);

        LowRankPatch patch = LowRankPatch.Read(folder);

        Assert.Equal(adapter.Targets.Order(), patch.Targets.Order());
        Assert.Equal(6.0 / 3, patch.Scale);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors"));
        Assert.All(adapter.Parameters.Slots, slot => Assert.Equal(adapter.Parameters.Data(slot.Name).ToArray(), file.ReadFloat32(slot.Name)));
        Assert.Contains("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", file.Tensors.Keys);
    }

    [Fact]
    public void Publish_Adapter_KeepsTheUpdateAndNamesTheBase()
    {
        using LoraAdapter adapter = Adapter(["q_proj"]);
        AdapterFolder.Save(Path.Combine(folder, "run"), adapter, folder);
        string published = Path.Combine(folder, "published");

        AdapterFolder.Publish(Path.Combine(folder, "run"), published, "town-small");

        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.GetFiles(published).Select(Path.GetFileName).Order());
        Assert.Equal(adapter.Targets.Order(), LowRankPatch.Read(published).Targets.Order());
        Assert.Contains("\"town-small\"", File.ReadAllText(Path.Combine(published, "adapter_config.json")));
        Assert.DoesNotContain(folder, File.ReadAllText(Path.Combine(published, "adapter_config.json")));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static LoraAdapter Adapter(string[] targets)
    {
        LoraAdapter adapter = new(Tiny.Spec, new LoraSettings(3, 6, targets), seed: 1);
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new(5);
        adapter.Parameters.Values.add_(randn(adapter.Parameters.Values.numel(), generator: generator) * 0.3);
        return adapter;
    }
}
