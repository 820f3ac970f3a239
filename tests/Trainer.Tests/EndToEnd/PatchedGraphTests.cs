using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>
/// Patches as the engine serves them, rows of a graph with slots, against weights that TorchSharp merged: the probe of a manifest.
/// </summary>
public sealed class PatchedGraphTests : IDisposable
{
    private static readonly int[] Prompt = [2, 15, 300, 1209, 335, 503, 1095, 308, 68, 4, 15, 3, 15];

    private readonly string folder = Tiny.NewFolder();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    public static TheoryData<string, string[], bool> Patches => new()
    {
        { "town-base", [.. LoraSettings.AllTargets], false },
        { "town-base", ["q_proj", "k_proj", "v_proj", "o_proj"], false },
        { "town-base", ["q_proj", "k_proj", "v_proj", "o_proj"], true },
        { "town-small", [.. LoraSettings.AllTargets], true },
        { "town-small", ["k_proj", "up_proj"], false },
    };

    [Theory]
    [MemberData(nameof(Patches))]
    public void Rows_Patch_EqualMergedWeights(string model, string[] targets, bool usesRootOfRank)
    {
        string folder = Path.Combine(Repository.Models, model);
        DecoderSpec config = DecoderSpec.Read(folder);
        using LoraAdapter adapter = new(config, new LoraSettings(8, 16, targets), seed: 1);
        using (Generator generator = new(5))
        using (Tensor noise = randn(adapter.Parameters.Values.numel(), generator: generator))
        {
            adapter.Parameters.Values.add_(noise, 0.03);
        }

        AdapterFolder.Save(this.folder, adapter, folder);
        SetRootOfRank(usesRootOfRank);
        PatchManifest manifest = AdapterManifest.Of(this.folder, folder, Prompt, new(), validationLoss: null);

        Tiny.AssertClose(manifest.Probe!.Logits!, Served(folder, this.folder, Prompt), 1e-4);
        Assert.True(Largest(manifest.Probe.Logits!, Served(folder, null, Prompt)) > 0.1, "The patch changes nothing, so the comparison proves nothing.");
    }

    /// <summary>Checks every patch of the demo family: its manifest names the weights, and the served rows equal those of the manifest.</summary>
    [Fact]
    public void Rows_CommittedPatches_EqualTheirManifests()
    {
        foreach (string folder in Directory.GetDirectories(Path.Combine(Repository.Models, "patches")))
        {
            PatchManifest manifest = PatchManifest.TryRead(folder)!;
            string model = Path.Combine(Repository.Models, manifest.Base!.Name!);
            using Tokenizer tokenizer = Tokenizer.Load(model);

            manifest.CheckFits(LowRankPatch.Read(folder));
            Assert.Equal(Lineage.Of(model), manifest.Base.Weights);
            Assert.Equal(tokenizer.VocabularyHash, manifest.Base.Tokenizer);
            Tiny.AssertClose(manifest.Probe!.Logits!, Served(model, folder, [.. manifest.Probe.Tokens!]), 1e-4);
        }
    }

    private static float[] Served(string folder, string? patch, int[] tokens)
    {
        using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new());
        PatchSum? sum = patch is null ? null : new PatchSum([new WeightedPatch(LowRankPatch.Read(patch), 1)]);
        using Sequence sequence = model.Start(Decoding.Models.Prompt.For(model, tokens, sum));
        return Rows.Forward(model, new Segment(sequence, default, 1))[0];
    }

    private static double Largest(IEnumerable<float> one, IEnumerable<float> other) => one.Zip(other).Max(pair => Math.Abs(pair.First - pair.Second));

    private void SetRootOfRank(bool value)
    {
        string path = Path.Combine(folder, "adapter_config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config["use_rslora"] = value;
        File.WriteAllText(path, config.ToJsonString());
    }
}
