using Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>Attention with standard operators. Past and present are concatenated, the causal mask uses slots, and positions with attention mask 0 are hidden.</summary>
internal sealed class PlainAttention : ForeignAttention
{
    private readonly GraphWriter graph;
    private readonly DecoderSpec config;
    private readonly string bias;
    private readonly string cos;
    private readonly string sin;

    public PlainAttention(GraphWriter graph, DecoderSpec config, string ids, string mask, string positions)
    {
        (this.graph, this.config) = (graph, config);
        bias = Bias(ids, mask);
        (float[]? cos, float[]? sin) = RotaryTable.Of(config, config.HeadSize);
        this.cos = Angles("cos", cos, positions);
        this.sin = Angles("sin", sin, positions);
    }

    public override string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue)
    {
        string queries = Rotate(prefix + "q", Split(prefix + "q", q, config.Heads));
        graph.Node("Concat", presentKey, "", [pastKey, Rotate(prefix + "k", Split(prefix + "k", k, config.KeyValueHeads))], Attribute("axis", 2));
        graph.Node("Concat", presentValue, "", [pastValue, Split(prefix + "v", v, config.KeyValueHeads)], Attribute("axis", 2));
        string transposed = graph.Node("Transpose", prefix + "k_transposed", "", [Repeat(prefix + "k", presentKey)], Permutation(0, 1, 3, 2));
        string scores = graph.Node("MatMul", prefix + "scores", "", [queries, transposed]);
        string scaled = graph.Node("Mul", prefix + "scaled", "", [scores, graph.Constant(prefix + "scale", [(float)(1 / Math.Sqrt(config.HeadSize))])]);
        string weights = graph.Node("Softmax", prefix + "softmax", "", [graph.Node("Add", prefix + "biased", "", [scaled, bias])], Attribute("axis", -1));
        string mixed = graph.Node("MatMul", prefix + "mixed", "", [weights, Repeat(prefix + "v", presentValue)]);
        string joined = graph.Node("Transpose", prefix + "joined", "", [mixed], Permutation(0, 2, 1, 3));
        return graph.Node("Reshape", prefix + "attention", "", [joined, Shape(prefix + "joined", 0, 0, config.Heads * config.HeadSize)]);
    }

    // [batch, 1, sequence, total]: 0 for keys that the query sees, a large negative value for the others.
    private string Bias(string ids, string mask)
    {
        (string? zero, string? one) = (graph.Constant("zero", 0), graph.Constant("one", 1));
        string total = graph.Node("Gather", "total", "", [graph.Node("Shape", "mask_shape", "", [mask]), one]);
        string count = graph.Node("Gather", "count", "", [graph.Node("Shape", "ids_shape", "", [ids]), one]);
        string keys = graph.Node("Range", "keys", "", [zero, total, one]);
        string queries = graph.Node("Range", "queries", "", [graph.Node("Sub", "past", "", [total, count]), total, one]);
        string column = graph.Node("Unsqueeze", "query_column", "", [queries, graph.Constant("column_axis", 1, 1)]);
        string causal = graph.Node("LessOrEqual", "causal", "", [keys, column]);
        string row = graph.Node("Unsqueeze", "mask_row", "", [mask, graph.Constant("mask_axes", [1, 2], 2)]);
        string visible = graph.Node("And", "visible", "", [causal, graph.Node("Cast", "mask_bool", "", [row], Attribute("to", (int)DataType.Bool))]);
        return graph.Node("Where", "bias", "", [visible, graph.Constant("see", [0f]), graph.Constant("hide", [-1e9f])]);
    }

    // [batch, 1, sequence, head size / 2].
    private string Angles(string name, float[] table, string positions)
    {
        string rows = graph.Node("Gather", name + "_rows", "", [graph.Constant(name + "_table", table, config.ContextLength, config.HeadSize / 2), positions]);
        return graph.Node("Unsqueeze", name, "", [rows, graph.Constant(name + "_axis", 1, 1)]);
    }

    private string Split(string name, string input, int heads)
    {
        string split = graph.Node("Reshape", name + "_split", "", [input, Shape(name, 0, 0, heads, config.HeadSize)]);
        return graph.Node("Transpose", name + "_heads", "", [split], Permutation(0, 2, 1, 3));
    }

    private string Rotate(string name, string input)
    {
        string[] halves = [name + "_first", name + "_second"];
        graph.Node("Split", name + "_halves", "", [input], halves, Attribute("axis", -1), Attribute("num_outputs", 2));
        string Product(string half, string angle, string suffix) => graph.Node("Mul", name + suffix, "", [half, angle]);
        string first = graph.Node("Sub", name + "_turned_first", "", [Product(halves[0], cos, "_1c"), Product(halves[1], sin, "_2s")]);
        string second = graph.Node("Add", name + "_turned_second", "", [Product(halves[1], cos, "_2c"), Product(halves[0], sin, "_1s")]);
        return graph.Node("Concat", name + "_rotated", "", [first, second], Attribute("axis", -1));
    }

    // The key-value head of each query head.
    private string Repeat(string name, string cache)
    {
        long[] heads = Enumerable.Range(0, config.Heads).Select(head => (long)(head / (config.Heads / config.KeyValueHeads))).ToArray();
        return graph.Node("Gather", name + "_repeated", "", [cache, graph.Constant(name + "_map", heads, heads.Length)], Attribute("axis", 1));
    }

    private string Shape(string name, params long[] sizes) => graph.Constant(name + "_shape", sizes, sizes.Length);

    private static global::Onnx.AttributeProto Permutation(params long[] axes)
    {
        AttributeProto attribute = new() { Name = "perm", Type = global::Onnx.AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.AddRange(axes);
        return attribute;
    }
}
