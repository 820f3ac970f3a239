using global::Onnx;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>Who makes and who uses each value of a graph, as it was when this was made.</summary>
internal sealed class GraphIndex
{
    /// <summary>How all names begin that variants add.</summary>
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

    /// <summary>Null for inputs and initializers.</summary>
    public NodeProto? Producer(string value) => producers.GetValueOrDefault(value);

    /// <summary>Uses by nodes, and one more for a value that is an output of the graph.</summary>
    public int Consumers(string value) => consumers.GetValueOrDefault(value);

    public TensorProto? Weight(string value) => weights.GetValueOrDefault(value);

    /// <summary>Whether the value does not depend on the inputs: an initializer, a constant, or either turned or converted.</summary>
    public bool IsWeight(string value) =>
        weights.ContainsKey(value) || (Producer(value) is { } node && (node.OpType == "Constant" || (node.OpType is "Transpose" or "Cast" or "DequantizeLinear" && node.Input.All(IsWeight))));

    /// <summary>Shapes that others noted beside the graph do not hold in a variant of it; ONNX Runtime infers them itself.</summary>
    public static void ForgetShapes(GraphProto graph) => graph.ValueInfo.Clear();
}

internal static class NodeAttributes
{
    /// <summary>An integer attribute; 0 where the node has none of that name.</summary>
    public static long Number(this NodeProto node, string attribute) => node.Attribute.FirstOrDefault(a => a.Name == attribute)?.I ?? 0;
}
