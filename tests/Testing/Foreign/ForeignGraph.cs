using global::Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>Builds the graph of a decoder in a form that other tools write.</summary>
internal sealed class ForeignGraph(ForeignKind kind, DecoderSpec config, ForeignWeights weights)
{
    private readonly GraphWriter graph = new("foreign");

    public ModelProto Build()
    {
        string ids = graph.Input("input_ids", DataType.Int64, "batch", "sequence");
        string mask = graph.Input("attention_mask", DataType.Int64, "batch", "total");
        string positions = kind is ForeignKind.PositionIds or ForeignKind.PlainAttention ? graph.Input("position_ids", DataType.Int64, "batch", "sequence") : "";
        ForeignAttention attention = kind == ForeignKind.PlainAttention
            ? new PlainAttention(graph, config, ids, mask, positions)
            : new GroupedAttention(graph, config, mask, positions);
        string hidden = graph.Node("Gather", "embed", "", [weights.Add(graph, "model.embed_tokens.weight"), ids]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            string normal = Norm(prefix + "input_layernorm", hidden);
            (string? pastKey, string? pastValue) = (Past(layer, "key"), Past(layer, "value"));
            (string? q, string? k, string? v) = (Linear(prefix + "self_attn.q_proj", normal), Linear(prefix + "self_attn.k_proj", normal), Linear(prefix + "self_attn.v_proj", normal));
            string mixed = attention.Add(prefix, q, k, v, pastKey, pastValue, Present(layer, "key"), Present(layer, "value"));
            hidden = graph.Node("Add", prefix + "attention_sum", "", [hidden, Linear(prefix + "self_attn.o_proj", mixed)]);
            normal = Norm(prefix + "post_attention_layernorm", hidden);
            string gate = Linear(prefix + "mlp.gate_proj", normal);
            string silu = graph.Node("Mul", prefix + "silu", "", [gate, graph.Node("Sigmoid", prefix + "sigmoid", "", [gate])]);
            string product = graph.Node("Mul", prefix + "product", "", [silu, Linear(prefix + "mlp.up_proj", normal)]);
            hidden = graph.Node("Add", prefix + "mlp_sum", "", [hidden, Linear(prefix + "mlp.down_proj", product)]);
        }

        string head = weights.AddTransposed(graph, config.TiedHead ? "model.embed_tokens.weight" : "lm_head.weight");
        graph.Node("MatMul", "logits", "", [Norm("model.norm", hidden), head]);
        graph.Output("logits", DataType.Float, "batch", "sequence", config.VocabularySize);
        return graph.ToModel();
    }

    private string Linear(string name, string input) =>
        graph.Node("MatMul", name, "", [input, weights.AddTransposed(graph, name + ".weight")]);

    // RMSNorm with standard operators.
    private string Norm(string name, string input)
    {
        string square = graph.Node("Mul", name + ".square", "", [input, input]);
        string mean = graph.Node("ReduceMean", name + ".mean", "", [square, graph.Constant(name + ".axis", -1, 1)], Attribute("keepdims", 1));
        string sum = graph.Node("Add", name + ".sum", "", [mean, graph.Constant(name + ".epsilon", [(float)config.NormEpsilon])]);
        string normal = graph.Node("Div", name + ".normal", "", [input, graph.Node("Sqrt", name + ".root", "", [sum])]);
        return graph.Node("Mul", name, "", [normal, weights.Add(graph, name + ".weight")]);
    }

    private string Past(int layer, string part) => graph.Input(
        kind == ForeignKind.ExternalFiles ? $"past_{part}s_{layer}" : $"past_key_values.{layer}.{part}",
        DataType.Float,
        "batch",
        config.KeyValueHeads,
        "past",
        config.HeadSize);

    private string Present(int layer, string part)
    {
        string name = kind == ForeignKind.ExternalFiles ? $"present_{part}s_{layer}" : $"present.{layer}.{part}";
        graph.Output(name, DataType.Float, "batch", config.KeyValueHeads, "total", config.HeadSize);
        return name;
    }
}
