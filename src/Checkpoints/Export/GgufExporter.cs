using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Writes the weights of a Llama-family checkpoint for llama.cpp.</summary>
/// <remarks>Without the tokenizer: the file says how many words there are, and token ids go in and come out, as they do here.</remarks>
public static class GgufExporter
{
    private const string Architecture = "llama";

    /// <param name="checkpoint">A folder with config.json and model.safetensors.</param>
    /// <param name="path">Of the file; replaced where it exists.</param>
    /// <param name="bits">
    /// Of each linear weight: 32 (default, float), 8 or 4, rounded as <see cref="LlamaExporter"/> rounds them, a scale of 16 bits for each 32
    /// inputs. The head has at least 8; embeddings and norms are float32.
    /// </param>
    /// <exception cref="EngineException">InvalidModelFolder: the checkpoint is incomplete; InvalidValue: bits, or a size that is no multiple of a block.</exception>
    public static void Export(string checkpoint, string path, int bits = LlamaExporter.FloatBits)
    {
        if (bits is not (LlamaExporter.FloatBits or 8 or 4))
        {
            throw new EngineException(EngineError.InvalidValue, $"bits is {bits}; accepted are 4, 8 and {LlamaExporter.FloatBits}.", "bits");
        }

        CheckpointConfig config = CheckpointConfig.Read(checkpoint);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(checkpoint, "model.safetensors"));
        List<GgufTensor> tensors = [.. LlamaTensors.InOrder(config).Select(tensor => Tensor(file, config, tensor.Name, tensor.Shape, bits))];
        if (config.TiedHead && bits != LlamaExporter.FloatBits)
        {
            tensors.Add(tensors[0] with { Name = "output.weight", Type = GgufType.Q8 });
        }

        if (tensors.FirstOrDefault(tensor => tensor.Type != GgufType.F32 && tensor.Shape[^1] % GgufBlocks.Size != 0) is { } odd)
        {
            throw new EngineException(EngineError.InvalidValue, $"bits is {bits}, but {odd.Name} has {odd.Shape[^1]} inputs; a multiple of {GgufBlocks.Size} is needed.", "bits");
        }

        GgufFile.Write(path, Metadata(config), tensors);
    }

    private static (string, object)[] Metadata(CheckpointConfig config) =>
    [
        ("general.architecture", Architecture),
        ($"{Architecture}.vocab_size", (uint)config.VocabularySize),
        ($"{Architecture}.context_length", (uint)config.ContextLength),
        ($"{Architecture}.embedding_length", (uint)config.HiddenSize),
        ($"{Architecture}.feed_forward_length", (uint)config.IntermediateSize),
        ($"{Architecture}.block_count", (uint)config.Layers),
        ($"{Architecture}.attention.head_count", (uint)config.Heads),
        ($"{Architecture}.attention.head_count_kv", (uint)config.KeyValueHeads),
        ($"{Architecture}.attention.key_length", (uint)config.HeadSize),
        ($"{Architecture}.attention.value_length", (uint)config.HeadSize),
        ($"{Architecture}.attention.layer_norm_rms_epsilon", (float)config.NormEpsilon),
        ($"{Architecture}.rope.dimension_count", (uint)config.HeadSize),
        ($"{Architecture}.rope.freq_base", (float)config.RopeTheta),
        ("tokenizer.ggml.model", "no_vocab"),
    ];

    private static GgufTensor Tensor(SafetensorsFile file, CheckpointConfig config, string name, int[] shape, int bits)
    {
        bool isFloat = bits == LlamaExporter.FloatBits || shape.Length == 1 || name == LlamaTensors.Embedding;
        GgufType type = isFloat ? GgufType.F32 : bits == 8 || name == LlamaTensors.Head ? GgufType.Q8 : GgufType.Q4;
        bool isRotated = name.Contains("q_proj", StringComparison.Ordinal) || name.Contains("k_proj", StringComparison.Ordinal);
        return new(Name(name), shape, type, () => isRotated ? Pairs(file.ReadFloat32(name), config.HeadSize, shape[1]) : file.ReadFloat32(name));
    }

    /// <summary>The checkpoint rotates dimension i with i + half, llama.cpp 2i with 2i + 1: rows of a head move.</summary>
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
        LlamaTensors.Embedding => "token_embd.weight",
        LlamaTensors.FinalNorm => "output_norm.weight",
        LlamaTensors.Head => "output.weight",
        _ => name
            .Replace("model.layers.", "blk.", StringComparison.Ordinal)
            .Replace("input_layernorm", "attn_norm", StringComparison.Ordinal)
            .Replace("post_attention_layernorm", "ffn_norm", StringComparison.Ordinal)
            .Replace("self_attn.q_proj", "attn_q", StringComparison.Ordinal)
            .Replace("self_attn.k_proj", "attn_k", StringComparison.Ordinal)
            .Replace("self_attn.v_proj", "attn_v", StringComparison.Ordinal)
            .Replace("self_attn.o_proj", "attn_output", StringComparison.Ordinal)
            .Replace("mlp.gate_proj", "ffn_gate", StringComparison.Ordinal)
            .Replace("mlp.up_proj", "ffn_up", StringComparison.Ordinal)
            .Replace("mlp.down_proj", "ffn_down", StringComparison.Ordinal),
    };
}
