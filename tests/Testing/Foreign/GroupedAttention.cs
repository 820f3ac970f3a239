using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>ONNX Runtime's GroupQueryAttention with separate q, k and v. The rotary embedding is inside the node, or before it if the graph has positions.</summary>
internal sealed class GroupedAttention : ForeignAttention
{
    private readonly GraphWriter graph;
    private readonly DecoderSpec config;
    private readonly string positions;
    private readonly string[] lengths;
    private readonly string[] caches;

    public GroupedAttention(GraphWriter graph, DecoderSpec config, string mask, string positions)
    {
        (this.graph, this.config, this.positions) = (graph, config, positions);
        string sums = graph.Node("ReduceSum", "mask_sum", "", [mask, graph.Constant("mask_axis", 1, 1)], Attribute("keepdims", 0));
        string width = graph.Node("Gather", "mask_width", "", [graph.Node("Shape", "mask_shape", "", [mask]), graph.Constant("width_axis", 1)]);
        lengths =
        [
            graph.Node("Cast", "seqlens_k", "", [graph.Node("Sub", "mask_last", "", [sums, graph.Constant("mask_one", 1, 1)])], Attribute("to", (int)DataType.Int32)),
            graph.Node("Cast", "total_length", "", [width], Attribute("to", (int)DataType.Int32)),
        ];
        (float[]? cos, float[]? sin) = RotaryTable.Of(config, config.HeadSize);
        caches = [graph.Constant("cos", cos, config.ContextLength, config.HeadSize / 2), graph.Constant("sin", sin, config.ContextLength, config.HeadSize / 2)];
    }

    public override string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue)
    {
        if (positions.Length > 0)
        {
            q = graph.Node("RotaryEmbedding", prefix + "rotated_q", Contrib, [q, positions, .. caches], Attribute("interleaved", 0));
            k = graph.Node("RotaryEmbedding", prefix + "rotated_k", Contrib, [k, positions, .. caches], Attribute("interleaved", 0));
        }

        string[] inputs = [q, k, v, pastKey, pastValue, .. lengths, .. positions.Length > 0 ? [] : caches];
        return graph.Node(
            "GroupQueryAttention",
            prefix + "attention",
            Contrib,
            inputs,
            [prefix + "attention", presentKey, presentValue],
            Attribute("num_heads", config.Heads),
            Attribute("kv_num_heads", config.KeyValueHeads),
            Attribute("do_rotary", positions.Length > 0 ? 0 : 1));
    }
}
