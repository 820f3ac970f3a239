using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>Adds an update to the output of a linear node. The readers of the output then read the sum.</summary>
/// <param name="graph">The graph to change.</param>
/// <param name="purpose">A part of the added names, which makes them different for different updates.</param>
internal sealed class UpdatedNode(GraphProto graph, LinearNode linear, string purpose)
{
    private readonly NodeProto own = graph.Node.Single(node => node.Output.Contains(linear.Output));
    private int added;

    public LinearNode Linear => linear;

    /// <summary>The node's input in float32.</summary>
    public string Float() => linear.Type == DataType.Float ? linear.Input : Node("Cast", "float", [linear.Input], GraphWriter.Attribute("to", (long)DataType.Float));

    /// <returns>The name of the node's output.</returns>
    public string Node(string operation, string what, params string[] inputs) => Node(operation, what, inputs, []);

    public string Node(string operation, string what, string[] inputs, params AttributeProto[] attributes)
    {
        string name = $"{GraphIndex.OwnPrefix}{linear.Output}.{purpose}.{what}";
        Insert(new() { OpType = operation, Name = name, Input = { inputs }, Output = { name }, Attribute = { attributes } });
        return name;
    }

    /// <param name="delta">The name of the update in float32, with the output's shape.</param>
    public void Add(string delta)
    {
        string rounded = linear.Type == DataType.Float ? delta : Node("Cast", "rounded", [delta], GraphWriter.Attribute("to", (long)linear.Type));
        string name = $"{GraphIndex.OwnPrefix}{linear.Output}.{purpose}";
        own.Output[0] = name + ".own";
        Insert(new() { OpType = "Add", Name = name, Input = { own.Output[0], rounded }, Output = { linear.Output } });
    }

    private void Insert(NodeProto node) => graph.Node.Insert(graph.Node.IndexOf(own) + ++added, node);
}
