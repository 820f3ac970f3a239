using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// A variant of a decoder's graph that computes the logits of chosen positions only. It gathers the positions before the head, since
/// most prompts need one row of logits at any length.
/// </summary>
internal static class LogitsRows
{
    /// <summary>The name of the input with the chosen positions: int64 [n], each row * positions + position. The logits are [1, n, vocabulary].</summary>
    public const string Input = GraphIndex.OwnPrefix + "logits_rows";

    // Operators that may stand between head and logits, since they change each logit independently.
    private static readonly HashSet<string> Elementwise = ["Cast", "Mul", "Div", "Add", "Tanh", "Identity"];

    /// <returns>The variant, or null if there is no head whose input has all positions.</returns>
    public static ModelProto? Of(ModelProto model, string logits)
    {
        ModelProto variant = model.Clone();
        GraphProto graph = variant.Graph;
        ValueInfoProto output = graph.Output.Single(value => value.Name == logits);
        if (Head(new GraphIndex(graph), logits) is not { } head || output.Type.TensorType.Shape is not { Dim: [var batch, var positions, _] } || positions.DimValue == 1)
        {
            return null;
        }

        string normal = head.Input[0], all = Input + ".all", chosen = Input + ".chosen";
        graph.Initializer.Add(new TensorProto { Name = Input + ".shape", DataType = (int)DataType.Int64, Dims = { 3 }, Int64Data = { 1, -1, 0 } });
        graph.Input.Add(GraphWriter.Value(Input, DataType.Int64, "logits_rows"));
        int place = graph.Node.IndexOf(head);
        graph.Node.Insert(place, new NodeProto { OpType = "Reshape", Name = all, Input = { normal, Input + ".shape" }, Output = { all } });
        graph.Node.Insert(place + 1, new NodeProto
        {
            OpType = "Gather",
            Name = chosen,
            Input = { all, Input },
            Output = { chosen },
            Attribute = { GraphWriter.Attribute("axis", 1L) },
        });
        head.Input[0] = chosen;
        batch.DimValue = 1;
        positions.DimParam = "logits_rows";
        GraphIndex.ForgetShapes(graph);
        return variant;
    }

    private static NodeProto? Head(GraphIndex index, string logits)
    {
        for (string value = logits; index.Producer(value) is { } node && (value == logits || index.Consumers(value) == 1);)
        {
            if (node.OpType is "MatMul" or "FusedMatMul" or "MatMulNBits")
            {
                bool isLinear = index.IsWeight(node.Input[1]) && !index.IsWeight(node.Input[0]) && node.Attribute.All(attribute => attribute.Name != "transA" || attribute.I == 0);
                return isLinear ? node : null;
            }

            string[] computed = [.. node.Input.Where(input => !index.IsWeight(input))];
            if (!Elementwise.Contains(node.OpType) || computed.Length != 1)
            {
                return null;
            }

            value = computed[0];
        }

        return null;
    }
}
