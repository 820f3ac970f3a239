using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Computes the manifest of a low-rank update, see <see cref="PatchManifest"/>.</summary>
internal static class AdapterManifest
{
    /// <summary>The largest number of tokens of the probe's prompt.</summary>
    public const int ProbeTokens = 24;

    /// <param name="folder">The folder of the update, in PEFT's layout.</param>
    /// <param name="baseFolder">The checkpoint that the update was trained on.</param>
    /// <param name="prompt">Token ids. The first <see cref="ProbeTokens"/> of them become the probe's prompt.</param>
    public static PatchManifest Of(string folder, string baseFolder, IEnumerable<int> prompt, PatchData data, double? validationLoss)
    {
        PatchConfig config = PatchConfig.Read(folder);
        using LlamaModel model = ModelFolder.Load(baseFolder, trainable: false);
        using Tokenizer tokenizer = Tokenizer.Load(baseFolder);
        using SafetensorsFile update = SafetensorsFile.Open(Path.Combine(folder, FileNames.AdapterWeights));
        (int rank, double alpha) = (config.Rank!.Value, config.LoraAlpha!.Value);
        string[] targets = [.. update.Tensors.Keys.Where(AdapterTensors.IsA).Select(name => AdapterTensors.ModuleOf(name)!)];
        Merge(model.Parameters, update, targets, config.UsesRootOfRank == true ? alpha / Math.Sqrt(rank) : alpha / rank);
        int[] tokens = [.. prompt.Take(ProbeTokens)];
        return new PatchManifest
        {
            Base = new(new DirectoryInfo(baseFolder).Name, Lineage.Of(baseFolder), tokenizer.VocabularyHash),
            Rank = rank,
            Alpha = alpha,
            Targets = [.. targets.Select(target => DecoderTensors.Projection(target)).Distinct().Order(StringComparer.Ordinal)],
            Data = data,
            ValidationLoss = validationLoss,
            Probe = new(tokens, LastRow(model, tokens)),
        };
    }

    /// <summary>Replaces W by W + scale B A for each target, with dense matrices. It shares no code with training and serving, so that the probe can reveal their errors.</summary>
    private static void Merge(ParameterSet weights, SafetensorsFile update, string[] targets, double scale)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (string target in targets)
        {
            ParameterSlot slot = weights[DecoderTensors.WeightOf(target)];
            Tensor sum = weights.Values.narrow(0, slot.Offset, slot.Count);
            sum.add_(scale * Matrix(AdapterTensors.B(target)).matmul(Matrix(AdapterTensors.A(target))).flatten());

            Tensor Matrix(string name) => tensor(update.ReadFloat32(name), [.. update.Tensors[name].Shape.Select(size => (long)size)]);
        }
    }

    private static float[] LastRow(LlamaModel model, int[] tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return model.Logits(model.Hidden(tensor(tokens, ScalarType.Int64).unsqueeze(0)))[-1].data<float>().ToArray();
    }
}
