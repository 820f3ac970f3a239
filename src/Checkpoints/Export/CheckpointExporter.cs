using global::Onnx;
using Google.Protobuf;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Exports a Hugging Face checkpoint of a decoder, of any family in Checkpoints/Architectures, as a folder for ONNX Runtime and onnxruntime-genai.</summary>
public static class CheckpointExporter
{
    /// <summary>The bits of a weight that is not quantised.</summary>
    public const int FloatBits = 32;

    private const string DerivedFile = "model.onnx.data";
    private const string QuantizedFile = "model.quantized.data";

    private static readonly string[] CopiedFiles =
    [
        FileNames.Config, FileNames.GenerationConfig, FileNames.Tokenizer, FileNames.TokenizerConfig, FileNames.SpecialTokens, FileNames.ChatTemplate,
    ];

    /// <summary>
    /// Writes genai_config.json, model.onnx and model.safetensors, and copies the small files. The graph's weights are ranges of
    /// model.safetensors, so the folder is both a float32 checkpoint and a model to serve, with one copy of the weights. Quantised weights are in a
    /// separate file, and the folder is a model to serve only.
    /// </summary>
    /// <param name="checkpoint">A folder with config.json, model.safetensors and the tokenizer's files.</param>
    /// <param name="target">The folder to write; created if it is missing. It may be <paramref name="checkpoint"/> itself.</param>
    /// <param name="patches">The patches to merge into the weights, or null.</param>
    /// <param name="bits">
    /// The bits of each linear weight after the merge: 32 (default, float), or 8 or 4 in blocks of 32 inputs. A block has a float32 scale, so a
    /// weight takes 9 or 5 bits. The head has at least 8 bits; embeddings and norms are float32.
    /// </param>
    /// <exception cref="EngineException">InvalidModelFolder: the checkpoint is incomplete or does not fit its config.json, or a patch does not fit it; InvalidValue: a patch's weight, bits.</exception>
    public static void Export(string checkpoint, string target, IReadOnlyList<WeightedPatch>? patches = null, int bits = FloatBits) =>
        ExportWritten(folder => WriteCheckpoint(checkpoint, folder, patches ?? []), target, bits);

    /// <summary>As <see cref="Export"/>, for a checkpoint that does not lie in a folder yet.</summary>
    /// <param name="write">
    /// Writes config.json, the tokenizer's files, and model.safetensors in float32 with its tensors in the order of <see cref="DecoderTensors.InOrder"/>. It is
    /// given the folder, which it creates if it is missing.
    /// </param>
    internal static void ExportWritten(Action<string> write, string target, int bits)
    {
        if (bits is not (FloatBits or 8 or 4))
        {
            throw new EngineException(EngineError.InvalidValue, $"bits is {bits}; accepted are 4, 8 and {FloatBits}.", "bits");
        }

        if (bits == FloatBits)
        {
            write(target);
            WriteGraph(target);
            return;
        }

        DirectoryInfo full = Directory.CreateDirectory(Path.Combine(target, ".float32"));
        try
        {
            write(full.FullName);
            WriteGraph(full.FullName);
            ModelProto graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(full.FullName, FileNames.Graph)));
            ModelProto quantized = QuantizedGraph.Write(full.FullName, graph, target, QuantizedFile, bits, DecoderGraphWriter.Head(DecoderSpec.Read(full.FullName)));
            File.WriteAllBytes(Path.Combine(target, FileNames.Graph), quantized.ToByteArray());
            Copy([.. CopiedFiles, FileNames.GenAiConfig], full.FullName, target);
            Lineage.Write(target, Lineage.Of(full.FullName)!);
        }
        finally
        {
            full.Delete(recursive: true);
        }
    }

    private static void WriteCheckpoint(string checkpoint, string target, IReadOnlyList<WeightedPatch> patches)
    {
        DecoderSpec spec = Read(checkpoint);
        Directory.CreateDirectory(target);
        string? textPart = Gemma3Config.FindTextPart(JsonFields.Read(Path.Combine(checkpoint, FileNames.Config)));
        using (CheckpointFiles source = CheckpointFiles.Open(checkpoint))
        {
            SafetensorsFile.Write(Path.Combine(target, FileNames.Weights), PatchMerge.Apply(DecoderTensors.ReadInOrder(source, spec), patches));
        }

        if (Path.GetFullPath(checkpoint) != Path.GetFullPath(target))
        {
            Copy(CopiedFiles, checkpoint, target);
        }

        if (textPart is not null)
        {
            File.WriteAllText(Path.Combine(target, FileNames.Config), textPart + "\n");
        }
    }

    /// <summary>Adds the graph to a folder with a float32 checkpoint. Ranges of its weights become the graph's.</summary>
    private static void WriteGraph(string target)
    {
        DecoderSpec spec = Read(target);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(target, FileNames.Weights));
        DecoderWeights weights = new(spec, file, DerivedFile);
        File.WriteAllBytes(Path.Combine(target, FileNames.Graph), DecoderGraphWriter.Build(spec, weights).ToByteArray());
        weights.WriteDerived(target);
        GenAiLayout.WriteConfig(target, FileNames.Graph, spec, weights.HeadSize);
    }

    private static DecoderSpec Read(string checkpoint)
    {
        DecoderSpec spec = DecoderSpec.Read(checkpoint);
        return spec.EndIds.Count > 0
            ? spec
            : throw EngineException.InFile(Path.Combine(checkpoint, FileNames.Config), "eos_token_id is missing; accepted is a token id or a list of token ids, since no answer ends without one.");
    }

    private static void Copy(IEnumerable<string> names, string from, string to)
    {
        foreach (string? name in names.Where(name => File.Exists(Path.Combine(from, name))))
        {
            File.Copy(Path.Combine(from, name), Path.Combine(to, name), overwrite: true);
        }
    }
}
