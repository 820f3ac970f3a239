using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>What a low-rank update says of itself, see <see cref="PatchManifest"/>.</summary>
internal static class AdapterManifest
{
    /// <summary>Most tokens of the probe's prompt.</summary>
    public const int ProbeTokens = 24;

    /// <param name="folder">Of the update, in PEFT's layout.</param>
    /// <param name="baseFolder">The checkpoint that it was trained on.</param>
    /// <param name="prompt">Token ids; the probe begins as they do.</param>
    public static PatchManifest Of(string folder, string baseFolder, IEnumerable<int> prompt, PatchData data, double? validationLoss)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, AdapterFolder.ConfigFile)))!;
        using LlamaModel model = ModelFolder.Load(baseFolder, trainable: false);
        using Tokenizer tokenizer = Tokenizer.Load(baseFolder);
        using SafetensorsFile update = SafetensorsFile.Open(Path.Combine(folder, AdapterFolder.WeightsFile));
        (int rank, double alpha) = ((int)config["r"]!, (double)config["lora_alpha"]!);
        string[] targets = [.. update.Tensors.Keys.Where(name => name.EndsWith(AdapterFolder.ASuffix, StringComparison.Ordinal)).Select(name => name[AdapterFolder.Prefix.Length..^AdapterFolder.ASuffix.Length])];
        Merge(model.Parameters, update, targets, (bool?)config["use_rslora"] == true ? alpha / Math.Sqrt(rank) : alpha / rank);
        int[] tokens = [.. prompt.Take(ProbeTokens)];
        return new PatchManifest
        {
            Base = new(new DirectoryInfo(baseFolder).Name, Lineage.Of(baseFolder), tokenizer.VocabularyHash),
            Rank = rank,
            Alpha = alpha,
            Targets = [.. targets.Select(target => target.Split('.')[^1]).Distinct().Order(StringComparer.Ordinal)],
            Data = data,
            ValidationLoss = validationLoss,
            Probe = new(tokens, LastRow(model, tokens)),
        };
    }

    /// <summary>W + scale B A for each target, by dense matrices: nothing of what serves or trains low-rank updates has a part in it.</summary>
    private static void Merge(ParameterSet weights, SafetensorsFile update, string[] targets, double scale)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (string target in targets)
        {
            ParameterSlot slot = weights[target + ".weight"];
            Tensor sum = weights.Values.narrow(0, slot.Offset, slot.Count);
            sum.add_(scale * Matrix(AdapterFolder.BSuffix).matmul(Matrix(AdapterFolder.ASuffix)).flatten());

            Tensor Matrix(string suffix)
            {
                string name = AdapterFolder.Prefix + target + suffix;
                return tensor(update.ReadFloat32(name), [.. update.Tensors[name].Shape.Select(size => (long)size)]);
            }
        }
    }

    private static float[] LastRow(LlamaModel model, int[] tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return model.Logits(model.Hidden(tensor(tokens, ScalarType.Int64).unsqueeze(0)))[-1].data<float>().ToArray();
    }
}
