using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The tensors of a Llama checkpoint under Hugging Face's names. Linear weights are [out, in].</summary>
internal static class LlamaTensors
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string FinalNorm = "model.norm.weight";
    public const string Head = "lm_head.weight";

    // Parts of a layer.
    public const string AttentionNorm = "input_layernorm";
    public const string Query = "self_attn.q_proj";
    public const string Key = "self_attn.k_proj";
    public const string Value = "self_attn.v_proj";
    public const string Output = "self_attn.o_proj";
    public const string FeedForwardNorm = "post_attention_layernorm";
    public const string Gate = "mlp.gate_proj";
    public const string Up = "mlp.up_proj";
    public const string Down = "mlp.down_proj";

    private const string Suffix = ".weight";

    /// <summary>The weight of a module such as <c>model.layers.0.mlp.up_proj</c>.</summary>
    public static string WeightOf(string module) => module + Suffix;

    /// <summary>The module that a weight belongs to.</summary>
    public static string ModuleOf(string weight) => weight[..^Suffix.Length];

    /// <summary>The name under which PEFT knows a module: <c>q_proj</c> of <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public static string Projection(string module) => module[(module.LastIndexOf('.') + 1)..];

    /// <param name="part">Such as <see cref="Query"/>.</param>
    public static string Of(int layer, string part) => WeightOf($"model.layers.{layer}.{part}");

    /// <summary>All tensors with their shapes. Query, key and value follow each other, and so do gate and up: each group is also one larger weight.</summary>
    public static IEnumerable<(string Name, int[] Shape)> InOrder(DecoderSpec spec)
    {
        yield return (Embedding, [spec.VocabularySize, spec.HiddenSize]);
        for (int layer = 0; layer < spec.Layers; layer++)
        {
            yield return (Of(layer, AttentionNorm), [spec.HiddenSize]);
            foreach (string part in (string[])[Query, Key, Value, Output])
            {
                yield return (Of(layer, part), ShapeOf(part, spec));
            }

            yield return (Of(layer, FeedForwardNorm), [spec.HiddenSize]);
            foreach (string part in (string[])[Gate, Up, Down])
            {
                yield return (Of(layer, part), ShapeOf(part, spec));
            }
        }

        yield return (FinalNorm, [spec.HiddenSize]);
        if (!spec.TiedHead)
        {
            yield return (Head, [spec.VocabularySize, spec.HiddenSize]);
        }
    }

    /// <summary>[out, in] of a projection.</summary>
    public static int[] ShapeOf(string part, DecoderSpec spec) => part switch
    {
        Query => [spec.Heads * spec.HeadSize, spec.HiddenSize],
        Key or Value => [spec.KeyValueHeads * spec.HeadSize, spec.HiddenSize],
        Output => [spec.HiddenSize, spec.Heads * spec.HeadSize],
        Gate or Up => [spec.IntermediateSize, spec.HiddenSize],
        Down => [spec.HiddenSize, spec.IntermediateSize],
        _ => throw new ArgumentException($"'{part}' is no projection of a Llama layer.", nameof(part)),
    };

    /// <summary>All tensors, each read and checked against the sizes of config.json.</summary>
    public static IEnumerable<TensorSource> ReadInOrder(SafetensorsFile file, DecoderSpec spec)
    {
        foreach ((string name, int[] shape) in InOrder(spec))
        {
            file.RequireFloats(name);
            if (!file.Tensors[name].Shape.SequenceEqual(shape))
            {
                throw EngineException.InFile(
                    file.Path,
                    $"tensor '{name}' is [{string.Join(", ", file.Tensors[name].Shape)}]; config.json makes it [{string.Join(", ", shape)}].",
                    name);
            }

            yield return TensorSource.Of(file, name);
        }
    }
}
