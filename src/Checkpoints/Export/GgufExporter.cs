using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Writes the weights of a Llama-family checkpoint for llama.cpp.</summary>
/// <remarks>The file has no tokenizer, only the size of the vocabulary. llama.cpp then reads and returns token ids.</remarks>
public static class GgufExporter
{
    private const string Architecture = "llama";

    /// <param name="checkpoint">A folder with config.json and model.safetensors.</param>
    /// <param name="path">The file to write; an existing file is replaced.</param>
    /// <param name="bits">
    /// The bits of each linear weight: 32 (default, float), 8 or 4, with a scale of 16 bits for each 32 inputs. Rounding is the same as in
    /// <see cref="CheckpointExporter"/>. The head has at least 8 bits; embeddings and norms are float32.
    /// </param>
    /// <exception cref="EngineException">InvalidModelFolder: the checkpoint is incomplete; InvalidValue: bits, or a size that is not a multiple of a block.</exception>
    public static void Export(string checkpoint, string path, int bits = CheckpointExporter.FloatBits)
    {
        if (bits is not (CheckpointExporter.FloatBits or 8 or 4))
        {
            throw new EngineException(EngineError.InvalidValue, $"bits is {bits}; accepted are 4, 8 and {CheckpointExporter.FloatBits}.", "bits");
        }

        DecoderSpec spec = DecoderSpec.Read(checkpoint);
        if (!spec.IsPlain)
        {
            throw EngineException.InFile(Path.Combine(checkpoint, FileNames.Config), $"model_type {spec.Family} with these fields cannot be written as GGUF; accepted is llama with the features of Llama 2.");
        }

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(checkpoint, FileNames.Weights));
        List<GgufTensor> tensors = [.. DecoderTensors.InOrder(spec).Select(tensor => Tensor(file, spec, tensor.Name, tensor.Shape, bits))];
        if (spec.TiedHead && bits != CheckpointExporter.FloatBits)
        {
            tensors.Add(tensors[0] with { Name = "output.weight", Type = GgufType.Q8_0 });
        }

        if (tensors.FirstOrDefault(tensor => tensor.Type != GgufType.F32 && tensor.Shape[^1] % GgufBlocks.Size != 0) is { } odd)
        {
            throw new EngineException(EngineError.InvalidValue, $"bits is {bits}, but {odd.Name} has {odd.Shape[^1]} inputs; accepted is a multiple of {GgufBlocks.Size}.", "bits");
        }

        GgufFile.Write(path, Metadata(spec), tensors);
    }

    private static (string, object)[] Metadata(DecoderSpec spec) =>
    [
        ("general.architecture", Architecture),
        ($"{Architecture}.vocab_size", (uint)spec.VocabularySize),
        ($"{Architecture}.context_length", (uint)spec.ContextLength),
        ($"{Architecture}.embedding_length", (uint)spec.HiddenSize),
        ($"{Architecture}.feed_forward_length", (uint)spec.IntermediateSize),
        ($"{Architecture}.block_count", (uint)spec.Layers),
        ($"{Architecture}.attention.head_count", (uint)spec.Heads),
        ($"{Architecture}.attention.head_count_kv", (uint)spec.KeyValueHeads),
        ($"{Architecture}.attention.key_length", (uint)spec.HeadSize),
        ($"{Architecture}.attention.value_length", (uint)spec.HeadSize),
        ($"{Architecture}.attention.layer_norm_rms_epsilon", (float)spec.NormEpsilon),
        ($"{Architecture}.rope.dimension_count", (uint)spec.HeadSize),
        ($"{Architecture}.rope.freq_base", (float)spec.RopeTheta),
        ("tokenizer.ggml.model", "no_vocab"),
    ];

    private static GgufTensor Tensor(SafetensorsFile file, DecoderSpec spec, string name, int[] shape, int bits)
    {
        bool isFloat = bits == CheckpointExporter.FloatBits || shape.Length == 1 || name == DecoderTensors.Embedding;
        GgufType type = isFloat ? GgufType.F32 : bits == 8 || name == DecoderTensors.Head ? GgufType.Q8_0 : GgufType.Q4_0;
        bool isRotated = name.Contains(DecoderTensors.Query, StringComparison.Ordinal) || name.Contains(DecoderTensors.Key, StringComparison.Ordinal);
        return new(Name(name), shape, type, () => isRotated ? [Pairs(file.ReadFloat32(name), spec.HeadSize, shape[1])] : TensorSource.Of(file, name).Pieces());
    }

    /// <summary>Reorders the rows of each head, since the checkpoint rotates dimension i with i + half, and llama.cpp rotates 2i with 2i + 1.</summary>
    private static float[] Pairs(float[] weight, int headSize, int columns)
    {
        float[] moved = new float[weight.Length];
        for (int row = 0; row * columns < weight.Length; row++)
        {
            int head = row / headSize, half = row % headSize / (headSize / 2), i = row % (headSize / 2);
            weight.AsSpan(row * columns, columns).CopyTo(moved.AsSpan(((head * headSize) + (2 * i) + half) * columns));
        }

        return moved;
    }

    private static string Name(string name) => name switch
    {
        DecoderTensors.Embedding => "token_embd.weight",
        DecoderTensors.FinalNorm => "output_norm.weight",
        DecoderTensors.Head => "output.weight",
        _ => name
            .Replace("model.layers.", "blk.", StringComparison.Ordinal)
            .Replace(DecoderTensors.AttentionNorm, "attn_norm", StringComparison.Ordinal)
            .Replace(DecoderTensors.FeedForwardNorm, "ffn_norm", StringComparison.Ordinal)
            .Replace(DecoderTensors.Query, "attn_q", StringComparison.Ordinal)
            .Replace(DecoderTensors.Key, "attn_k", StringComparison.Ordinal)
            .Replace(DecoderTensors.Value, "attn_v", StringComparison.Ordinal)
            .Replace(DecoderTensors.Output, "attn_output", StringComparison.Ordinal)
            .Replace(DecoderTensors.Gate, "ffn_gate", StringComparison.Ordinal)
            .Replace(DecoderTensors.Up, "ffn_up", StringComparison.Ordinal)
            .Replace(DecoderTensors.Down, "ffn_down", StringComparison.Ordinal),
    };
}
