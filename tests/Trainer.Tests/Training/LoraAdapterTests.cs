using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Training;

public sealed class LoraAdapterTests : IDisposable
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6];

    private readonly string _folder = Tiny.NewFolder();

    public static TheoryData<string[]> Targets => [.. new[] { ["q_proj"], ["v_proj", "up_proj"], ["o_proj", "down_proj"], LoraSettings.AllTargets.ToArray() }];

    [Theory]
    [MemberData(nameof(Targets))]
    public void MergeInto_AnyTargets_GivesTheLogitsOfTheUnmergedUpdate(string[] targets)
    {
        using var model = Tiny.Model(Tiny.Config);
        using var adapter = Adapter(targets);
        var before = Tiny.Logits(model, Ids);
        var unmerged = Tiny.Logits(model, Ids, adapter);

        adapter.MergeInto(model);

        Tiny.AssertClose(unmerged, Tiny.Logits(model, Ids), 1e-5);
        Assert.True(before.Zip(unmerged).Max(pair => Math.Abs(pair.First - pair.Second)) > 1e-3);
    }

    [Fact]
    public void Logits_FreshUpdate_AreThoseOfTheBase()
    {
        using var model = Tiny.Model(Tiny.Config);
        using var adapter = new LoraAdapter(Tiny.Config, new LoraSettings(4, 8), seed: 1);

        Assert.Equal(Tiny.Logits(model, Ids), Tiny.Logits(model, Ids, adapter));
    }

    [Fact]
    public void Load_SavedAdapter_HasTheSameWeightsAndSettings()
    {
        using var adapter = Adapter(["q_proj", "down_proj"]);
        AdapterFolder.Save(_folder, adapter, _folder);

        using var loaded = AdapterFolder.Load(_folder, Tiny.Config);

        Assert.True(adapter.Parameters.Values.Equals(loaded.Parameters.Values));
        Assert.Equal((adapter.Settings.Rank, adapter.Settings.Alpha), (loaded.Settings.Rank, loaded.Settings.Alpha));
        Assert.Equal(adapter.Settings.Targets, loaded.Settings.Targets);
        Assert.Contains("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", adapter.Parameters.Slots.Select(slot => slot.Name));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static LoraAdapter Adapter(string[] targets)
    {
        var adapter = new LoraAdapter(Tiny.Config, new LoraSettings(3, 6, targets), seed: 1);
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        adapter.Parameters.Values.add_(randn(adapter.Parameters.Values.numel(), generator: generator) * 0.3);
        return adapter;
    }
}
