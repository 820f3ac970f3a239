using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// A variant of a decoder's graph that adds a separate low-rank update to each row of the batch: y = W x + B (A x), with A
/// [rows, inputs, rank] and B [rows, rank, outputs] as inputs in float32. Zeros mean a row without an update.
/// </summary>
/// <remarks>The update is computed in float32 in graphs of any type. It is rounded once, when it is added.</remarks>
internal static class LoraSlots
{
    public static ModelProto Of(ModelProto model, IEnumerable<LinearNode> nodes)
    {
        ModelProto variant = model.Clone();
        GraphProto graph = variant.Graph;
        foreach (LinearNode linear in nodes)
        {
            (string a, string b) = Inputs(linear);
            graph.Input.Add(GraphWriter.Value(a, DataType.Float, "slot_rows", linear.Inputs, Name(linear, "rank")));
            graph.Input.Add(GraphWriter.Value(b, DataType.Float, "slot_rows", Name(linear, "rank"), linear.Outputs));
            UpdatedNode update = new(graph, linear, "slot");
            string input = linear.IsFlat ? update.Node("Reshape", "rows", update.Float(), Rows(graph, update, a)) : update.Float();
            string up = update.Node("MatMul", "up", update.Node("MatMul", "down", input, a), b);
            update.Add(linear.IsFlat ? update.Node("Reshape", "flat", up, Constant(graph, Name(linear, "flat_shape"), -1, linear.Outputs)) : up);
        }

        GraphIndex.ForgetShapes(graph);
        return variant;
    }

    public static (string A, string B) Inputs(LinearNode node) => (Name(node, "A"), Name(node, "B"));

    /// <summary>The input as [rows, positions, inputs], with the number of rows of A.</summary>
    private static string Rows(GraphProto graph, UpdatedNode update, string a)
    {
        string sizes = update.Node("Shape", "sizes", [a], GraphWriter.Attribute("end", 1L));
        return update.Node("Concat", "rows_shape", [sizes, Constant(graph, Name(update.Linear, "rest"), -1, update.Linear.Inputs)], GraphWriter.Attribute("axis", 0L));
    }

    private static string Constant(GraphProto graph, string name, params long[] values)
    {
        graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)DataType.Int64, Dims = { values.Length }, Int64Data = { values } });
        return name;
    }

    private static string Name(LinearNode node, string what) => $"{GraphIndex.OwnPrefix}{node.Output}.{what}";
}
