using global::Onnx;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>An index of the producer and the consumers of each value of a graph. It does not follow later changes of the graph.</summary>
internal sealed class GraphIndex
{
    /// <summary>The prefix of all names that variants add.</summary>
    public const string OwnPrefix = "proxytune.";

    private readonly Dictionary<string, NodeProto> producers = [];
    private readonly Dictionary<string, int> consumers;
    private readonly Dictionary<string, TensorProto> weights;

    public GraphIndex(GraphProto graph)
    {
        foreach (NodeProto node in graph.Node)
        {
            foreach (string output in node.Output.Where(output => output.Length > 0))
            {
                producers[output] = node;
            }
        }

        consumers = graph.Node.SelectMany(node => node.Input).Concat(graph.Output.Select(output => output.Name)).CountBy(name => name).ToDictionary();
        weights = graph.Initializer.ToDictionary(weight => weight.Name);
    }

    /// <summary>The node that produces a value; null for inputs and initializers.</summary>
    public NodeProto? Producer(string value) => producers.GetValueOrDefault(value);

    /// <summary>The number of node inputs that read a value, plus one if the value is an output of the graph.</summary>
    public int Consumers(string value) => consumers.GetValueOrDefault(value);

    public TensorProto? Weight(string value) => weights.GetValueOrDefault(value);

    /// <summary>The value of an initializer or of a Constant node; null for other values.</summary>
    public TensorProto? Constant(string value) => Weight(value) ?? (Producer(value) is { OpType: "Constant" } node ? node.Attribute.FirstOrDefault(attribute => attribute.Name == "value")?.T : null);

    /// <summary>Whether the value is independent of the inputs: an initializer, a constant, or one of them transposed or converted.</summary>
    public bool IsWeight(string value) =>
        weights.ContainsKey(value) || (Producer(value) is { } node && (node.OpType == "Constant" || (node.OpType is "Transpose" or "Cast" or "DequantizeLinear" && node.Input.All(IsWeight))));

    /// <summary>Removes the exporter's shapes of values, since they are wrong in a variant of the graph. ONNX Runtime infers shapes itself.</summary>
    public static void ForgetShapes(GraphProto graph) => graph.ValueInfo.Clear();
}

internal static class NodeAttributes
{
    /// <summary>The value of an integer attribute; 0 if the node has no such attribute.</summary>
    public static long Number(this NodeProto node, string attribute) => node.Attribute.FirstOrDefault(a => a.Name == attribute)?.I ?? 0;
}
