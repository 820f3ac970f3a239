using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The tensors of a checkpoint under Hugging Face's names. Linear weights are [out, in].</summary>
internal static class DecoderTensors
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
    public const string QueryKeyValue = "self_attn.qkv_proj";
    public const string QueryNorm = "self_attn.q_norm";
    public const string KeyNorm = "self_attn.k_norm";
    public const string FeedForwardNorm = "post_attention_layernorm";
    public const string GateUp = "mlp.gate_up_proj";
    public const string Gate = "mlp.gate_proj";
    public const string Up = "mlp.up_proj";
    public const string Down = "mlp.down_proj";

    // The name of a norm depends on the norms of the layer: the second one of a layer is post_attention_layernorm.
    private const string AttentionOutputNorm = "post_attention_layernorm";
    private const string FeedForwardInputNorm = "pre_feedforward_layernorm";
    private const string FeedForwardOutputNorm = "post_feedforward_layernorm";

    private const string Suffix = ".weight";
    private const string BiasSuffix = ".bias";

    /// <summary>The weight of a module such as <c>model.layers.0.mlp.up_proj</c>.</summary>
    public static string WeightOf(string module) => module + Suffix;

    /// <summary>The module that a weight belongs to.</summary>
    public static string ModuleOf(string weight) => weight[..^Suffix.Length];

    /// <summary>The name under which PEFT knows a module: <c>q_proj</c> of <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public static string Projection(string module) => module[(module.LastIndexOf('.') + 1)..];

    /// <param name="part">Such as <see cref="Query"/>.</param>
    public static string Of(int layer, string part) => WeightOf($"model.layers.{layer}.{part}");

    public static string BiasOf(int layer, string part) => $"model.layers.{layer}.{part}{BiasSuffix}";

    /// <summary>The norm at the input of the feed-forward network.</summary>
    public static string FeedForwardInput(DecoderSpec spec) => spec.Norms.HasFlag(NormPlaces.After) ? FeedForwardInputNorm : FeedForwardNorm;

    /// <summary>The norms at the outputs of attention and of the feed-forward network.</summary>
    public static (string Attention, string FeedForward) Outputs => (AttentionOutputNorm, FeedForwardOutputNorm);

    /// <summary>
    /// All tensors with their shapes. Query, key and value follow each other, and so do their biases, gate and up, and their biases: each group is also
    /// one larger tensor.
    /// </summary>
    public static IEnumerable<(string Name, int[] Shape)> InOrder(DecoderSpec spec)
    {
        yield return (Embedding, [spec.VocabularySize, spec.HiddenSize]);
        foreach ((string name, int[] shape) in Enumerable.Range(0, spec.Layers).SelectMany(layer => OfLayer(layer, spec)))
        {
            yield return (name, shape);
        }

        yield return (FinalNorm, [spec.HiddenSize]);
        if (!spec.TiedHead)
        {
            yield return (Head, [spec.VocabularySize, spec.HiddenSize]);
        }
    }

    private static IEnumerable<(string Name, int[] Shape)> OfLayer(int layer, DecoderSpec spec)
    {
        (bool before, bool after) = (spec.Norms.HasFlag(NormPlaces.Before), spec.Norms.HasFlag(NormPlaces.After));
        return
        [
            .. Norms(before, AttentionNorm),
            .. Projections(spec.QueryKeyValueBias, spec.FusedProjections ? [QueryKeyValue] : [Query, Key, Value]),
            .. spec.HeadNorm == HeadNorm.None ? [] : (IEnumerable<(string, int[])>)[(Of(layer, QueryNorm), [HeadNormSize(spec, spec.Heads)]), (Of(layer, KeyNorm), [HeadNormSize(spec, spec.KeyValueHeads)])],
            .. Projections(spec.OutputBias, Output),
            .. Norms(after, AttentionOutputNorm),
            .. Norms(before, FeedForwardInput(spec)),
            .. Projections(spec.FeedForwardBias, spec.FusedProjections ? [GateUp] : [Gate, Up]),
            .. Projections(spec.FeedForwardBias, Down),
            .. Norms(after, FeedForwardOutputNorm),
        ];

        IEnumerable<(string, int[])> Norms(bool isThere, string part) => isThere ? [(Of(layer, part), [spec.HiddenSize])] : [];

        IEnumerable<(string, int[])> Projections(bool hasBias, params string[] parts) =>
            parts.Select(part => (Of(layer, part), ShapeOf(part, spec))).Concat(hasBias ? parts.Select(part => (BiasOf(layer, part), ShapeOf(part, spec)[..1])) : []);
    }

    /// <summary>The number of weights of the norm of queries or keys.</summary>
    public static int HeadNormSize(DecoderSpec spec, int heads) => spec.HeadNorm == HeadNorm.AllHeads ? heads * spec.HeadSize : spec.HeadSize;

    /// <summary>[out, in] of a projection.</summary>
    public static int[] ShapeOf(string part, DecoderSpec spec) => part switch
    {
        Query => [spec.Heads * spec.HeadSize, spec.HiddenSize],
        QueryKeyValue => [(spec.Heads + (2 * spec.KeyValueHeads)) * spec.HeadSize, spec.HiddenSize],
        Key or Value => [spec.KeyValueHeads * spec.HeadSize, spec.HiddenSize],
        Output => [spec.HiddenSize, spec.Heads * spec.HeadSize],
        Gate or Up => [spec.IntermediateSize, spec.HiddenSize],
        GateUp => [2 * spec.IntermediateSize, spec.HiddenSize],
        Down => [spec.HiddenSize, spec.IntermediateSize],
        _ => throw new ArgumentException($"'{part}' is no projection of a layer.", nameof(part)),
    };

    /// <summary>All tensors, each read and checked against the sizes of config.json.</summary>
    public static IEnumerable<TensorSource> ReadInOrder(CheckpointFiles files, DecoderSpec spec)
    {
        CheckTie(files, spec);
        foreach ((string name, int[] shape) in InOrder(spec))
        {
            (SafetensorsFile file, string stored) = files.Find(Aliases(name));
            file.RequireFloats(stored);
            if (!file.Tensors[stored].Shape.SequenceEqual(shape))
            {
                throw EngineException.InFile(
                    file.Path,
                    $"tensor '{stored}' is [{string.Join(", ", file.Tensors[stored].Shape)}]; config.json makes it [{string.Join(", ", shape)}].",
                    stored);
            }

            yield return TensorSource.Of(file, stored) with { Name = name };
        }
    }

    // transformers 4 takes the embedding for such a checkpoint, and transformers 5 the head.
    private static void CheckTie(CheckpointFiles files, DecoderSpec spec)
    {
        if (spec.TiedHead && files.TryFind(out (SafetensorsFile File, string Name) head, Aliases(Head)) && files.TryFind(out (SafetensorsFile File, string Name) embedding, Aliases(Embedding))
            && !Elements(head).SequenceEqual(Elements(embedding)))
        {
            throw EngineException.InFile(head.File.Path, $"'{head.Name}' differs from '{embedding.Name}', and {CommonFields.TiedHead} of config.json is true; accepted is false, or one tensor for both.", head.Name);
        }

        static IEnumerable<float> Elements((SafetensorsFile File, string Name) tensor) => TensorSource.Of(tensor.File, tensor.Name).Pieces().SelectMany(piece => piece.ToArray());
    }

    /// <summary>The names of a tensor: in a decoder's checkpoint, and in those of models with a vision tower.</summary>
    private static string[] Aliases(string name) => [name, $"language_model.{name}", name.Replace("model.", "model.language_model.", StringComparison.Ordinal)];
}
