using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>Attention in standard operators: past and present concatenated, causal by slot, hidden where the mask is 0.</summary>
internal sealed class PlainAttention : ForeignAttention
{
    private readonly GraphWriter _graph;
    private readonly CheckpointConfig _config;
    private readonly string _bias;
    private readonly string _cos;
    private readonly string _sin;

    public PlainAttention(GraphWriter graph, CheckpointConfig config, string ids, string mask, string positions)
    {
        (_graph, _config) = (graph, config);
        _bias = Bias(ids, mask);
        var (cos, sin) = RotaryCache.Build(config, config.HeadSize);
        _cos = Angles("cos", cos, positions);
        _sin = Angles("sin", sin, positions);
    }

    public override string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue)
    {
        var queries = Rotate(prefix + "q", Split(prefix + "q", q, _config.Heads));
        _graph.Node("Concat", presentKey, "", [pastKey, Rotate(prefix + "k", Split(prefix + "k", k, _config.KeyValueHeads))], Attribute("axis", 2));
        _graph.Node("Concat", presentValue, "", [pastValue, Split(prefix + "v", v, _config.KeyValueHeads)], Attribute("axis", 2));
        var transposed = _graph.Node("Transpose", prefix + "k_transposed", "", [Repeat(prefix + "k", presentKey)], Permutation(0, 1, 3, 2));
        var scores = _graph.Node("MatMul", prefix + "scores", "", [queries, transposed]);
        var scaled = _graph.Node("Mul", prefix + "scaled", "", [scores, _graph.Constant(prefix + "scale", [(float)(1 / Math.Sqrt(_config.HeadSize))])]);
        var weights = _graph.Node("Softmax", prefix + "softmax", "", [_graph.Node("Add", prefix + "biased", "", [scaled, _bias])], Attribute("axis", -1));
        var mixed = _graph.Node("MatMul", prefix + "mixed", "", [weights, Repeat(prefix + "v", presentValue)]);
        var joined = _graph.Node("Transpose", prefix + "joined", "", [mixed], Permutation(0, 2, 1, 3));
        return _graph.Node("Reshape", prefix + "attention", "", [joined, Shape(prefix + "joined", 0, 0, _config.Heads * _config.HeadSize)]);
    }

    // [batch, 1, sequence, total]: 0 where a query sees a key, far below 0 elsewhere.
    private string Bias(string ids, string mask)
    {
        var (zero, one) = (_graph.Constant("zero", 0), _graph.Constant("one", 1));
        var total = _graph.Node("Gather", "total", "", [_graph.Node("Shape", "mask_shape", "", [mask]), one]);
        var count = _graph.Node("Gather", "count", "", [_graph.Node("Shape", "ids_shape", "", [ids]), one]);
        var keys = _graph.Node("Range", "keys", "", [zero, total, one]);
        var queries = _graph.Node("Range", "queries", "", [_graph.Node("Sub", "past", "", [total, count]), total, one]);
        var column = _graph.Node("Unsqueeze", "query_column", "", [queries, _graph.Constant("column_axis", 1, 1)]);
        var causal = _graph.Node("LessOrEqual", "causal", "", [keys, column]);
        var row = _graph.Node("Unsqueeze", "mask_row", "", [mask, _graph.Constant("mask_axes", [1, 2], 2)]);
        var visible = _graph.Node("And", "visible", "", [causal, _graph.Node("Cast", "mask_bool", "", [row], Attribute("to", (int)DataType.Bool))]);
        return _graph.Node("Where", "bias", "", [visible, _graph.Constant("see", [0f]), _graph.Constant("hide", [-1e9f])]);
    }

    // [batch, 1, sequence, head size / 2].
    private string Angles(string name, float[] table, string positions)
    {
        var rows = _graph.Node("Gather", name + "_rows", "", [_graph.Constant(name + "_table", table, _config.ContextLength, _config.HeadSize / 2), positions]);
        return _graph.Node("Unsqueeze", name, "", [rows, _graph.Constant(name + "_axis", 1, 1)]);
    }

    private string Split(string name, string input, int heads)
    {
        var split = _graph.Node("Reshape", name + "_split", "", [input, Shape(name, 0, 0, heads, _config.HeadSize)]);
        return _graph.Node("Transpose", name + "_heads", "", [split], Permutation(0, 2, 1, 3));
    }

    private string Rotate(string name, string input)
    {
        string[] halves = [name + "_first", name + "_second"];
        _graph.Node("Split", name + "_halves", "", [input], halves, Attribute("axis", -1), Attribute("num_outputs", 2));
        string Product(string half, string angle, string suffix) => _graph.Node("Mul", name + suffix, "", [half, angle]);
        var first = _graph.Node("Sub", name + "_turned_first", "", [Product(halves[0], _cos, "_1c"), Product(halves[1], _sin, "_2s")]);
        var second = _graph.Node("Add", name + "_turned_second", "", [Product(halves[1], _cos, "_2c"), Product(halves[0], _sin, "_1s")]);
        return _graph.Node("Concat", name + "_rotated", "", [first, second], Attribute("axis", -1));
    }

    // Each query head's key-value head.
    private string Repeat(string name, string cache)
    {
        var heads = Enumerable.Range(0, _config.Heads).Select(head => (long)(head / (_config.Heads / _config.KeyValueHeads))).ToArray();
        return _graph.Node("Gather", name + "_repeated", "", [cache, _graph.Constant(name + "_map", heads, heads.Length)], Attribute("axis", 1));
    }

    private string Shape(string name, params long[] sizes) => _graph.Constant(name + "_shape", sizes, sizes.Length);

    private static global::Onnx.AttributeProto Permutation(params long[] axes)
    {
        var attribute = new global::Onnx.AttributeProto { Name = "perm", Type = global::Onnx.AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.AddRange(axes);
        return attribute;
    }
}
