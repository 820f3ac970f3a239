using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using global::Onnx;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>The decoder as a foreign tool might write it.</summary>
internal sealed class ForeignGraph(ForeignKind kind, CheckpointConfig config, ForeignWeights weights)
{
    private readonly GraphWriter _graph = new("foreign");

    public ModelProto Build()
    {
        var ids = _graph.Input("input_ids", DataType.Int64, "batch", "sequence");
        var mask = _graph.Input("attention_mask", DataType.Int64, "batch", "total");
        var positions = kind is ForeignKind.PositionIds or ForeignKind.PlainAttention ? _graph.Input("position_ids", DataType.Int64, "batch", "sequence") : "";
        ForeignAttention attention = kind == ForeignKind.PlainAttention
            ? new PlainAttention(_graph, config, ids, mask, positions)
            : new GroupedAttention(_graph, config, mask, positions);
        var hidden = _graph.Node("Gather", "embed", "", [weights.Add(_graph, "model.embed_tokens.weight"), ids]);
        for (var layer = 0; layer < config.Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            var normal = Norm(prefix + "input_layernorm", hidden);
            var (pastKey, pastValue) = (Past(layer, "key"), Past(layer, "value"));
            var (q, k, v) = (Linear(prefix + "self_attn.q_proj", normal), Linear(prefix + "self_attn.k_proj", normal), Linear(prefix + "self_attn.v_proj", normal));
            var mixed = attention.Add(prefix, q, k, v, pastKey, pastValue, Present(layer, "key"), Present(layer, "value"));
            hidden = _graph.Node("Add", prefix + "attention_sum", "", [hidden, Linear(prefix + "self_attn.o_proj", mixed)]);
            normal = Norm(prefix + "post_attention_layernorm", hidden);
            var gate = Linear(prefix + "mlp.gate_proj", normal);
            var silu = _graph.Node("Mul", prefix + "silu", "", [gate, _graph.Node("Sigmoid", prefix + "sigmoid", "", [gate])]);
            var product = _graph.Node("Mul", prefix + "product", "", [silu, Linear(prefix + "mlp.up_proj", normal)]);
            hidden = _graph.Node("Add", prefix + "mlp_sum", "", [hidden, Linear(prefix + "mlp.down_proj", product)]);
        }

        var head = weights.AddTransposed(_graph, config.TiedHead ? "model.embed_tokens.weight" : "lm_head.weight");
        _graph.Node("MatMul", "logits", "", [Norm("model.norm", hidden), head]);
        _graph.Output("logits", DataType.Float, "batch", "sequence", config.VocabularySize);
        return _graph.ToModel();
    }

    private string Linear(string name, string input) =>
        _graph.Node("MatMul", name, "", [input, weights.AddTransposed(_graph, name + ".weight")]);

    // RMSNorm in standard operators.
    private string Norm(string name, string input)
    {
        var square = _graph.Node("Mul", name + ".square", "", [input, input]);
        var mean = _graph.Node("ReduceMean", name + ".mean", "", [square, _graph.Constant(name + ".axis", -1, 1)], Attribute("keepdims", 1));
        var sum = _graph.Node("Add", name + ".sum", "", [mean, _graph.Constant(name + ".epsilon", [(float)config.NormEpsilon])]);
        var normal = _graph.Node("Div", name + ".normal", "", [input, _graph.Node("Sqrt", name + ".root", "", [sum])]);
        return _graph.Node("Mul", name, "", [normal, weights.Add(_graph, name + ".weight")]);
    }

    private string Past(int layer, string part) => _graph.Input(
        kind == ForeignKind.ExternalFiles ? $"past_{part}s_{layer}" : $"past_key_values.{layer}.{part}",
        DataType.Float,
        "batch",
        config.KeyValueHeads,
        "past",
        config.HeadSize);

    private string Present(int layer, string part)
    {
        var name = kind == ForeignKind.ExternalFiles ? $"present_{part}s_{layer}" : $"present.{layer}.{part}";
        _graph.Output(name, DataType.Float, "batch", config.KeyValueHeads, "total", config.HeadSize);
        return name;
    }
}
