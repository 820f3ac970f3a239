using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The tensors of a Llama checkpoint under Hugging Face's names. Linear weights are [out, in].</summary>
/// <remarks>In this order q, k, v and gate, up lie side by side, so that each group is one larger weight as well.</remarks>
internal static class LlamaTensors
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string FinalNorm = "model.norm.weight";
    public const string Head = "lm_head.weight";

    public static string Of(int layer, string part) => $"model.layers.{layer}.{part}.weight";

    public static IEnumerable<(string Name, int[] Shape)> InOrder(CheckpointConfig config)
    {
        (int hidden, int queries, int keys) = (config.HiddenSize, config.Heads * config.HeadSize, config.KeyValueHeads * config.HeadSize);
        yield return (Embedding, [config.VocabularySize, hidden]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            yield return (Of(layer, "input_layernorm"), [hidden]);
            yield return (Of(layer, "self_attn.q_proj"), [queries, hidden]);
            yield return (Of(layer, "self_attn.k_proj"), [keys, hidden]);
            yield return (Of(layer, "self_attn.v_proj"), [keys, hidden]);
            yield return (Of(layer, "self_attn.o_proj"), [hidden, queries]);
            yield return (Of(layer, "post_attention_layernorm"), [hidden]);
            yield return (Of(layer, "mlp.gate_proj"), [config.IntermediateSize, hidden]);
            yield return (Of(layer, "mlp.up_proj"), [config.IntermediateSize, hidden]);
            yield return (Of(layer, "mlp.down_proj"), [hidden, config.IntermediateSize]);
        }

        yield return (FinalNorm, [hidden]);
        if (!config.TiedHead)
        {
            yield return (Head, [config.VocabularySize, hidden]);
        }
    }

    /// <summary>All tensors, each read and checked against the config's sizes.</summary>
    public static IEnumerable<(string Name, int[] Shape, float[] Data)> ReadInOrder(SafetensorsFile file, CheckpointConfig config)
    {
        foreach ((string? name, int[]? shape) in InOrder(config))
        {
            float[] data = file.ReadFloat32(name);
            if (!file.Tensors[name].Shape.SequenceEqual(shape))
            {
                throw new EngineException(
                    EngineError.InvalidModelFolder,
                    $"{file.Path}: tensor '{name}' is [{string.Join(", ", file.Tensors[name].Shape)}]; config.json makes it [{string.Join(", ", shape)}].",
                    name);
            }

            yield return (name, shape, data);
        }
    }
}
