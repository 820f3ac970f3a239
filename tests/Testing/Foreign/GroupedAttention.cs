using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>ONNX Runtime's GroupQueryAttention with separate q, k, v, rotated inside or, where there are positions, before it.</summary>
internal sealed class GroupedAttention : ForeignAttention
{
    private readonly GraphWriter _graph;
    private readonly CheckpointConfig _config;
    private readonly string _positions;
    private readonly string[] _lengths;
    private readonly string[] _caches;

    public GroupedAttention(GraphWriter graph, CheckpointConfig config, string mask, string positions)
    {
        (_graph, _config, _positions) = (graph, config, positions);
        var sums = graph.Node("ReduceSum", "mask_sum", "", [mask, graph.Constant("mask_axis", 1, 1)], Attribute("keepdims", 0));
        var width = graph.Node("Gather", "mask_width", "", [graph.Node("Shape", "mask_shape", "", [mask]), graph.Constant("width_axis", 1)]);
        _lengths =
        [
            graph.Node("Cast", "seqlens_k", "", [graph.Node("Sub", "mask_last", "", [sums, graph.Constant("mask_one", 1, 1)])], Attribute("to", (int)DataType.Int32)),
            graph.Node("Cast", "total_length", "", [width], Attribute("to", (int)DataType.Int32)),
        ];
        var (cos, sin) = RotaryCache.Build(config, config.HeadSize);
        _caches = [graph.Constant("cos", cos, config.ContextLength, config.HeadSize / 2), graph.Constant("sin", sin, config.ContextLength, config.HeadSize / 2)];
    }

    public override string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue)
    {
        if (_positions.Length > 0)
        {
            q = _graph.Node("RotaryEmbedding", prefix + "rotated_q", Contrib, [q, _positions, .. _caches], Attribute("interleaved", 0));
            k = _graph.Node("RotaryEmbedding", prefix + "rotated_k", Contrib, [k, _positions, .. _caches], Attribute("interleaved", 0));
        }

        string[] inputs = [q, k, v, pastKey, pastValue, .. _lengths, .. _positions.Length > 0 ? [] : _caches];
        return _graph.Node(
            "GroupQueryAttention",
            prefix + "attention",
            Contrib,
            inputs,
            [prefix + "attention", presentKey, presentValue],
            Attribute("num_heads", _config.Heads),
            Attribute("kv_num_heads", _config.KeyValueHeads),
            Attribute("do_rotary", _positions.Length > 0 ? 0 : 1));
    }
}
