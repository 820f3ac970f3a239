using global::Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Checkpoints.Export;

/// <summary>
/// Writes the graph of a Llama decoder in the form of onnxruntime-genai. The inputs are input_ids, attention_mask and past key-value pairs; the
/// outputs are logits and present key-value pairs.
/// </summary>
/// <remarks>
/// RMSNorm -> packed q k v -> GroupQueryAttention with rotary embedding -> o, then RMSNorm -> packed gate and up -> SiLU(gate) * up -> down.
/// A linear weight stays [out, in] as in the checkpoint. FusedMatMul transposes it once at load, when it packs it for the CPU.
/// </remarks>
internal sealed class LlamaGraph
{
    /// <summary>The name of the head's output.</summary>
    public const string Logits = "logits";

    private readonly DecoderSpec spec;
    private readonly LlamaWeights weights;
    private readonly GraphWriter graph = new("llama");

    private LlamaGraph(DecoderSpec spec, LlamaWeights weights) => (this.spec, this.weights) = (spec, weights);

    public static ModelProto Build(DecoderSpec spec, LlamaWeights weights) => new LlamaGraph(spec, weights).Build();

    private ModelProto Build()
    {
        string ids = graph.Input("input_ids", DataType.Int64, "batch_size", "sequence_length");
        string mask = graph.Input("attention_mask", DataType.Int64, "batch_size", "total_sequence_length");
        string[] shared = Lengths(mask).Concat(RotaryCaches()).ToArray();
        string embedding = graph.External(LlamaTensors.Embedding, weights.Of(LlamaTensors.Embedding));
        string hidden = graph.Node("Gather", "embeddings", "", [embedding, ids]);
        string normal = Norm("layers.0.input_norm", LlamaTensors.Of(0, LlamaTensors.AttentionNorm), hidden);
        for (int layer = 0; layer < spec.Layers; layer++)
        {
            string attention = Attention(layer, normal, shared);
            (normal, hidden) = AddAndNorm($"layers.{layer}.post_attention", LlamaTensors.Of(layer, LlamaTensors.FeedForwardNorm), hidden, attention);
            (string? next, string? norm) = layer + 1 < spec.Layers
                ? ($"layers.{layer + 1}.input", LlamaTensors.Of(layer + 1, LlamaTensors.AttentionNorm))
                : ("final", LlamaTensors.FinalNorm);
            (normal, hidden) = AddAndNorm(next, norm, hidden, FeedForward(layer, normal));
        }

        string head = spec.TiedHead ? embedding : graph.External(LlamaTensors.Head, weights.Of(LlamaTensors.Head));
        Linear(Logits, normal, head);
        graph.Output(Logits, DataType.Float, "batch_size", "sequence_length", spec.VocabularySize);
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

    private string[] RotaryCaches()
    {
        (float[] cos, float[] sin) = RotaryTable.Of(spec, weights.HeadSize);
        return
        [
            graph.Constant("cos_cache", cos, spec.ContextLength, weights.HeadSize / 2),
            graph.Constant("sin_cache", sin, spec.ContextLength, weights.HeadSize / 2),
        ];
    }

    private string Attention(int layer, string input, string[] shared)
    {
        string name = $"layers.{layer}.attention";
        object[] cache = ["batch_size", spec.KeyValueHeads, "past_sequence_length", weights.HeadSize];
        string pastKey = graph.Input($"past_key_values.{layer}.key", DataType.Float, cache);
        string pastValue = graph.Input($"past_key_values.{layer}.value", DataType.Float, cache);
        string qkv = Linear($"layers.{layer}.qkv", input, graph.External($"layers.{layer}.qkv.weight", weights.QueryKeyValue(layer)));
        string[] outputs = [name, $"present.{layer}.key", $"present.{layer}.value"];
        graph.Node(
            "GroupQueryAttention",
            name,
            Contrib,
            [qkv, "", "", pastKey, pastValue, .. shared],
            outputs,
            Attribute("num_heads", spec.Heads),
            Attribute("kv_num_heads", spec.KeyValueHeads),
            Attribute("do_rotary", 1),
            Attribute("rotary_interleaved", 0),
            Attribute("scale", (float)(1 / Math.Sqrt(spec.HeadSize))));
        cache[2] = "total_sequence_length";
        graph.Output(outputs[1], DataType.Float, cache);
        graph.Output(outputs[2], DataType.Float, cache);
        return Linear($"layers.{layer}.o", name, graph.External($"layers.{layer}.o.weight", weights.Output(layer)));
    }

    private string FeedForward(int layer, string input)
    {
        string name = $"layers.{layer}.mlp";
        string both = Linear($"{name}.gate_up", input, graph.External($"{name}.gate_up.weight", weights.GateUp(layer)));
        string[] halves = [$"{name}.gate", $"{name}.up"];
        graph.Node("Split", $"{name}.split", "", [both], halves, Attribute("axis", -1), Attribute("num_outputs", 2));
        string silu = graph.Node("Mul", $"{name}.silu", "", [halves[0], graph.Node("Sigmoid", $"{name}.sigmoid", "", [halves[0]])]);
        string product = graph.Node("Mul", $"{name}.product", "", [silu, halves[1]]);
        string down = LlamaTensors.Of(layer, LlamaTensors.Down);
        return Linear($"{name}.down", product, graph.External(down, weights.Of(down)));
    }

    private string Linear(string name, string input, string weight) =>
        graph.Node("FusedMatMul", name, Contrib, [input, weight], Attribute("transA", 0), Attribute("transB", 1), Attribute("alpha", 1f));

    private string Norm(string name, string weight, string input) =>
        graph.Node("SimplifiedLayerNormalization", name, "", [input, graph.External(weight, weights.Of(weight))], NormAttributes(withAxis: true));

    private (string Normal, string Sum) AddAndNorm(string name, string weight, string residual, string delta)
    {
        string[] outputs = [$"{name}_norm", "", "", $"{name}_sum"];
        graph.Node("SkipSimplifiedLayerNormalization", outputs[0], Contrib, [residual, delta, graph.External(weight, weights.Of(weight))], outputs, NormAttributes(withAxis: false));
        return (outputs[0], outputs[3]);
    }

    private AttributeProto[] NormAttributes(bool withAxis)
    {
        AttributeProto epsilon = Attribute("epsilon", (float)spec.NormEpsilon);
        return withAxis ? [epsilon, Attribute("axis", -1), Attribute("stash_type", 1)] : [epsilon];
    }
}
