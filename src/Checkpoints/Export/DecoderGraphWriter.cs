using global::Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Checkpoints.Export;

/// <summary>
/// Writes the graph of a decoder in the form of onnxruntime-genai. The inputs are input_ids, attention_mask and past key-value pairs; the
/// outputs are logits and present key-value pairs.
/// </summary>
/// <remarks>
/// RMSNorm -> packed q k v -> GroupQueryAttention with rotary embedding -> o, then RMSNorm -> packed gate and up -> SiLU(gate) * up -> down.
/// What a family has beside this stands between these nodes, and there are no nodes for what it does not have.
/// A linear weight stays [out, in] as in the checkpoint. FusedMatMul transposes it once at load, when it packs it for the CPU.
/// </remarks>
internal sealed class DecoderGraphWriter
{
    private const string Logits = "logits";

    // LinearNodes knows these names.
    private const string Packed = "qkv", Fused = "fused_qkv", PackedGate = "gate_up", FusedGate = "fused_gate_up";

    private readonly DecoderSpec spec;
    private readonly DecoderWeights weights;
    private readonly GraphWriter graph = new("llama");

    private DecoderGraphWriter(DecoderSpec spec, DecoderWeights weights) => (this.spec, this.weights) = (spec, weights);

    /// <summary>Writes the graph, and derives its weights.</summary>
    public static ModelProto Build(DecoderSpec spec, DecoderWeights weights) => new DecoderGraphWriter(spec, weights).Build();

    /// <summary>The name of the output of the head. It is not the logits if they are divided or capped.</summary>
    public static string Head(DecoderSpec spec) => spec.LogitsDivisor == 1 && spec.LogitsSoftCap is null ? Logits : "lm_head";

    private ModelProto Build()
    {
        string ids = graph.Input("input_ids", DataType.Int64, "batch_size", "sequence_length");
        string mask = graph.Input("attention_mask", DataType.Int64, "batch_size", "total_sequence_length");
        string[] lengths = Lengths(mask);
        AttentionWriter attention = new(graph, spec, weights.HeadSize, lengths);
        string embedding = graph.External(DecoderTensors.Embedding, weights.Of(DecoderTensors.Embedding));
        string hidden = Scaled("embeddings", name => graph.Node("Gather", name, "", [embedding, ids]), spec.EmbeddingScale);
        string normal = FirstNorm(hidden);
        bool before = spec.Norms.HasFlag(NormPlaces.Before), after = spec.Norms.HasFlag(NormPlaces.After);
        for (int layer = 0; layer < spec.Layers; layer++)
        {
            string name = $"layers.{layer}";
            string attended = Added($"{name}.attention_output", Attention(layer, normal, attention), after ? DecoderTensors.Of(layer, DecoderTensors.Outputs.Attention) : null);
            (normal, hidden) = Add($"{name}.post_attention", hidden, attended, before ? DecoderTensors.Of(layer, DecoderTensors.FeedForwardInput(spec)) : null);
            string fed = Added($"{name}.mlp_output", FeedForward(layer, normal), after ? DecoderTensors.Of(layer, DecoderTensors.Outputs.FeedForward) : null);
            (normal, hidden) = layer + 1 == spec.Layers ? Add("final", hidden, fed, DecoderTensors.FinalNorm)
                : Add($"layers.{layer + 1}.input", hidden, fed, before ? DecoderTensors.Of(layer + 1, DecoderTensors.AttentionNorm) : null);
        }

        string head = spec.TiedHead ? embedding : graph.External(DecoderTensors.Head, weights.Of(DecoderTensors.Head));
        Finish(Linear(Head(spec), normal, head));
        graph.Output(Logits, DataType.Float, "batch_size", "sequence_length", spec.VocabularySize);
        GraphNotes.Write(graph, spec);
        return graph.ToModel();
    }

    // The sums of the mask's rows are the lengths, so rows of different lengths can share a batch. The mask's width is the largest length.
    private string[] Lengths(string mask)
    {
        string lengths = graph.Node("ReduceSum", "lengths", "", [mask, graph.Constant("one_axis", 1, 1)], Attribute("keepdims", 0));
        string last = graph.Node("Sub", "last_positions", "", [lengths, graph.Constant("one", 1, 1)]);
        string width = graph.Node("Gather", "width", "", [graph.Node("Shape", "mask_shape", "", [mask]), graph.Constant("axis_one", 1)]);
        return
        [
            graph.Node("Cast", "seqlens_k", "", [last], Attribute("to", (int)DataType.Int32)),
            graph.Node("Cast", "total_sequence_length_int32", "", [width], Attribute("to", (int)DataType.Int32)),
        ];
    }

    private string Attention(int layer, string input, AttentionWriter attention)
    {
        string name = $"layers.{layer}";
        string qkv = Linear(
            $"{name}.{(spec.FusedProjections ? Fused : Packed)}",
            input,
            graph.External($"{name}.qkv.weight", weights.QueryKeyValue(layer)),
            spec.QueryKeyValueBias ? weights.QueryKeyValueBias(layer) : null);
        string[] projected = spec.HeadNorm == HeadNorm.None ? [qkv, "", ""] : attention.Normalised(
            layer,
            qkv,
            graph.External(DecoderTensors.Of(layer, DecoderTensors.QueryNorm), weights.HeadNorm(layer, DecoderTensors.QueryNorm, spec.Heads)),
            graph.External(DecoderTensors.Of(layer, DecoderTensors.KeyNorm), weights.HeadNorm(layer, DecoderTensors.KeyNorm, spec.KeyValueHeads)),
            Norm(weights.HeadNormEpsilon));
        string attended = attention.Attend(layer, projected);
        WeightRange? bias = spec.OutputBias ? weights.Of(DecoderTensors.BiasOf(layer, DecoderTensors.Output)) : null;
        return Linear($"{name}.o", attended, graph.External($"{name}.o.weight", weights.Output(layer)), bias);
    }

    private string FeedForward(int layer, string input)
    {
        string name = $"layers.{layer}.mlp";
        string both = Linear(
            $"{name}.{(spec.FusedProjections ? FusedGate : PackedGate)}",
            input,
            graph.External($"{name}.gate_up.weight", weights.GateUp(layer)),
            spec.FeedForwardBias ? weights.GateUpBias(layer) : null);
        string[] halves = [$"{name}.gate", $"{name}.up"];
        graph.Node("Split", $"{name}.split", "", [both], halves, Attribute("axis", -1), Attribute("num_outputs", 2));
        string product = graph.Node("Mul", $"{name}.product", "", [Activated(name, halves[0]), halves[1]]);
        string down = DecoderTensors.Of(layer, DecoderTensors.Down);
        return Linear($"{name}.down", product, graph.External(down, weights.Of(down)), spec.FeedForwardBias ? weights.Of(DecoderTensors.BiasOf(layer, DecoderTensors.Down)) : null);
    }

    private string Activated(string name, string gate) => spec.Activation switch
    {
        Activation.Silu => graph.Node("Mul", $"{name}.silu", "", [gate, graph.Node("Sigmoid", $"{name}.sigmoid", "", [gate])]),
        Activation.GeluTanh => graph.Node("FastGelu", $"{name}.gelu", Contrib, [gate]),
        Activation.Gelu => graph.Node("Gelu", $"{name}.gelu", Contrib, [gate]),
        Activation.Relu => graph.Node("Relu", $"{name}.relu", "", [gate]),
        _ => throw new InvalidOperationException($"There is no node for {spec.Activation}."),
    };

    private void Finish(string head)
    {
        if (spec.LogitsDivisor != 1)
        {
            head = graph.Node("Div", spec.LogitsSoftCap is null ? Logits : "divided_logits", "", [head, graph.Constant("logits_divisor", [(float)spec.LogitsDivisor])]);
        }

        if (spec.LogitsSoftCap is { } cap)
        {
            string limit = graph.Constant("logits_cap", [(float)cap]);
            string bent = graph.Node("Tanh", "bent_logits", "", [graph.Node("Div", "logits_by_cap", "", [head, limit])]);
            graph.Node("Mul", Logits, "", [bent, limit]);
        }
    }

    private string Linear(string name, string input, string weight, WeightRange? bias = null)
    {
        string product = graph.Node("FusedMatMul", name, Contrib, [input, weight], Attribute("transA", 0), Attribute("transB", 1), Attribute("alpha", 1f));
        return bias is { } range ? graph.Node("Add", $"{name}.biased", "", [product, graph.External($"{name}.bias", range)]) : product;
    }

    private string FirstNorm(string hidden)
    {
        string weight = DecoderTensors.Of(0, DecoderTensors.AttentionNorm);
        return spec.Norms.HasFlag(NormPlaces.Before) ? Norm("layers.0.input_norm", weight, hidden) : hidden;
    }

    private string Norm(string name, string weight, string input) =>
        graph.Node("SimplifiedLayerNormalization", name, "", [input, graph.External(weight, weights.Norm(weight))], Norm(spec.NormEpsilon));

    /// <summary>What a layer adds to the residual stream.</summary>
    private string Added(string name, string output, string? norm) =>
        Scaled($"{name}_norm", normalised => norm is null ? output : Norm(normalised, norm, output), spec.ResidualScale);

    private string Scaled(string name, Func<string, string> value, double scale)
    {
        string own = value(name);
        return scale == 1 ? own : graph.Node("Mul", $"{name}.scaled", "", [own, graph.Constant($"{name}.scale", [(float)scale])]);
    }

    /// <param name="norm">The weight of the norm of the sum; null for none.</param>
    private (string Normal, string Sum) Add(string name, string residual, string delta, string? norm)
    {
        if (norm is null)
        {
            string sum = graph.Node("Add", $"{name}_sum", "", [residual, delta]);
            return (sum, sum);
        }

        string[] outputs = [$"{name}_norm", "", "", $"{name}_sum"];
        graph.Node(
            "SkipSimplifiedLayerNormalization", outputs[0], Contrib, [residual, delta, graph.External(norm, weights.Norm(norm))], outputs, Attribute("epsilon", (float)spec.NormEpsilon));
        return (outputs[0], outputs[3]);
    }

    private static AttributeProto[] Norm(double epsilon) => [Attribute("epsilon", (float)epsilon), Attribute("axis", -1), Attribute("stash_type", 1)];
}
