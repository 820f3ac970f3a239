using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using global::Onnx;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Checkpoints.Export;

/// <summary>
/// The graph of a Llama decoder in the form that onnxruntime-genai runs: input_ids, attention_mask and past key-value pairs in; logits and
/// present pairs out.
/// </summary>
/// <remarks>
/// RMSNorm -> packed q k v -> GroupQueryAttention with rotary embedding -> o, then RMSNorm -> packed gate and up -> SiLU(gate) * up -> down.
/// A linear weight stays [out, in] as in the checkpoint; FusedMatMul transposes it when it is packed for the CPU, once at load.
/// </remarks>
internal sealed class LlamaGraph
{
    /// <summary>Name of the head's output.</summary>
    public const string Logits = "logits";

    private readonly CheckpointConfig _config;
    private readonly LlamaWeights _weights;
    private readonly GraphWriter _graph = new("llama");

    private LlamaGraph(CheckpointConfig config, LlamaWeights weights) => (_config, _weights) = (config, weights);

    public static ModelProto Build(CheckpointConfig config, LlamaWeights weights) => new LlamaGraph(config, weights).Build();

    private ModelProto Build()
    {
        var ids = _graph.Input("input_ids", DataType.Int64, "batch_size", "sequence_length");
        var mask = _graph.Input("attention_mask", DataType.Int64, "batch_size", "total_sequence_length");
        var shared = Lengths(mask).Concat(RotaryCaches()).ToArray();
        var embedding = _graph.External(LlamaTensors.Embedding, _weights.Of(LlamaTensors.Embedding));
        var hidden = _graph.Node("Gather", "embeddings", "", [embedding, ids]);
        var normal = Norm("layers.0.input_norm", LlamaTensors.Of(0, "input_layernorm"), hidden);
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            var attention = Attention(layer, normal, shared);
            (normal, hidden) = AddAndNorm($"layers.{layer}.post_attention", LlamaTensors.Of(layer, "post_attention_layernorm"), hidden, attention);
            var (next, norm) = layer + 1 < _config.Layers
                ? ($"layers.{layer + 1}.input", LlamaTensors.Of(layer + 1, "input_layernorm"))
                : ("final", LlamaTensors.FinalNorm);
            (normal, hidden) = AddAndNorm(next, norm, hidden, FeedForward(layer, normal));
        }

        var head = _config.TiedHead ? embedding : _graph.External(LlamaTensors.Head, _weights.Of(LlamaTensors.Head));
        Linear(Logits, normal, head);
        _graph.Output(Logits, DataType.Float, "batch_size", "sequence_length", _config.VocabularySize);
        return _graph.ToModel();
    }

    // Row sums of the mask are the lengths, so rows of different lengths may share a batch; its width is the longest of them.
    private string[] Lengths(string mask)
    {
        var lengths = _graph.Node("ReduceSum", "lengths", "", [mask, _graph.Constant("one_axis", 1, 1)], Attribute("keepdims", 0));
        var last = _graph.Node("Sub", "last_positions", "", [lengths, _graph.Constant("one", 1, 1)]);
        var width = _graph.Node("Gather", "width", "", [_graph.Node("Shape", "mask_shape", "", [mask]), _graph.Constant("axis_one", 1)]);
        return
        [
            _graph.Node("Cast", "seqlens_k", "", [last], Attribute("to", (int)DataType.Int32)),
            _graph.Node("Cast", "total_sequence_length_int32", "", [width], Attribute("to", (int)DataType.Int32)),
        ];
    }

    private string[] RotaryCaches()
    {
        var (cos, sin) = RotaryCache.Build(_config, _weights.HeadSize);
        return
        [
            _graph.Constant("cos_cache", cos, _config.ContextLength, _weights.HeadSize / 2),
            _graph.Constant("sin_cache", sin, _config.ContextLength, _weights.HeadSize / 2),
        ];
    }

    private string Attention(int layer, string input, string[] shared)
    {
        var name = $"layers.{layer}.attention";
        object[] cache = ["batch_size", _config.KeyValueHeads, "past_sequence_length", _weights.HeadSize];
        var pastKey = _graph.Input($"past_key_values.{layer}.key", DataType.Float, cache);
        var pastValue = _graph.Input($"past_key_values.{layer}.value", DataType.Float, cache);
        var qkv = Linear($"layers.{layer}.qkv", input, _graph.External($"layers.{layer}.qkv.weight", _weights.QueryKeyValue(layer)));
        string[] outputs = [name, $"present.{layer}.key", $"present.{layer}.value"];
        _graph.Node(
            "GroupQueryAttention",
            name,
            Contrib,
            [qkv, "", "", pastKey, pastValue, .. shared],
            outputs,
            Attribute("num_heads", _config.Heads),
            Attribute("kv_num_heads", _config.KeyValueHeads),
            Attribute("do_rotary", 1),
            Attribute("rotary_interleaved", 0),
            Attribute("scale", (float)(1 / Math.Sqrt(_config.HeadSize))));
        cache[2] = "total_sequence_length";
        _graph.Output(outputs[1], DataType.Float, cache);
        _graph.Output(outputs[2], DataType.Float, cache);
        return Linear($"layers.{layer}.o", name, _graph.External($"layers.{layer}.o.weight", _weights.Output(layer)));
    }

    private string FeedForward(int layer, string input)
    {
        var name = $"layers.{layer}.mlp";
        var both = Linear($"{name}.gate_up", input, _graph.External($"{name}.gate_up.weight", _weights.GateUp(layer)));
        string[] halves = [$"{name}.gate", $"{name}.up"];
        _graph.Node("Split", $"{name}.split", "", [both], halves, Attribute("axis", -1), Attribute("num_outputs", 2));
        var silu = _graph.Node("Mul", $"{name}.silu", "", [halves[0], _graph.Node("Sigmoid", $"{name}.sigmoid", "", [halves[0]])]);
        var product = _graph.Node("Mul", $"{name}.product", "", [silu, halves[1]]);
        var down = LlamaTensors.Of(layer, "mlp.down_proj");
        return Linear($"{name}.down", product, _graph.External(down, _weights.Of(down)));
    }

    private string Linear(string name, string input, string weight) =>
        _graph.Node("FusedMatMul", name, Contrib, [input, weight], Attribute("transA", 0), Attribute("transB", 1), Attribute("alpha", 1f));

    private string Norm(string name, string weight, string input) =>
        _graph.Node("SimplifiedLayerNormalization", name, "", [input, _graph.External(weight, _weights.Of(weight))], NormAttributes(withAxis: true));

    private (string Normal, string Sum) AddAndNorm(string name, string weight, string residual, string delta)
    {
        string[] outputs = [$"{name}_norm", "", "", $"{name}_sum"];
        _graph.Node("SkipSimplifiedLayerNormalization", outputs[0], Contrib, [residual, delta, _graph.External(weight, _weights.Of(weight))], outputs, NormAttributes(withAxis: false));
        return (outputs[0], outputs[3]);
    }

    private AttributeProto[] NormAttributes(bool withAxis)
    {
        var epsilon = Attribute("epsilon", (float)_config.NormEpsilon);
        return withAxis ? [epsilon, Attribute("axis", -1), Attribute("stash_type", 1)] : [epsilon];
    }
}
