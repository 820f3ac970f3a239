using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Decoding.Onnx;

/// <summary>
/// The variant of a decoder's graph that adds a low-rank update of its own to each row of the batch: y = W x + B (A x), with A
/// [rows, inputs, rank] and B [rows, rank, outputs] as inputs. Rows of zeros are rows without an update.
/// </summary>
internal static class LoraSlots
{
    public static ModelProto Of(ModelProto model, IEnumerable<LinearNode> nodes)
    {
        ModelProto variant = model.Clone();
        GraphProto graph = variant.Graph;
        foreach (LinearNode linear in nodes)
        {
            NodeProto node = graph.Node.Single(node => node.Output.Contains(linear.Output));
            string own = Name(linear, "own"), down = Name(linear, "down"), up = Name(linear, "up");
            (string a, string b) = Inputs(linear);
            node.Output[0] = own;
            int place = graph.Node.IndexOf(node) + 1;
            graph.Node.Insert(place, Node("MatMul", [linear.Input, a], down));
            graph.Node.Insert(place + 1, Node("MatMul", [down, b], up));
            graph.Node.Insert(place + 2, Node("Add", [own, up], linear.Output));
            graph.Input.Add(GraphWriter.Value(a, DataType.Float, "slot_rows", linear.Inputs, Name(linear, "rank")));
            graph.Input.Add(GraphWriter.Value(b, DataType.Float, "slot_rows", Name(linear, "rank"), linear.Outputs));
        }

        GraphIndex.ForgetShapes(graph);
        return variant;
    }

    public static (string A, string B) Inputs(LinearNode node) => (Name(node, "A"), Name(node, "B"));

    private static string Name(LinearNode node, string what) => $"{GraphIndex.OwnPrefix}{node.Output}.{what}";

    private static NodeProto Node(string operation, string[] inputs, string output) =>
        new() { OpType = operation, Name = GraphIndex.OwnPrefix + output + "." + operation, Input = { inputs }, Output = { output } };
}
