using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// A variant of a decoder's graph that adds a dense update to linear nodes: y = W x + D x, with each D [inputs, outputs] as an input in float32.
/// It computes the result of <see cref="LoraSlots"/> without low rank, rows or buffers.
/// </summary>
internal static class DenseUpdates
{
    public static ModelProto Of(ModelProto model, IEnumerable<LinearNode> nodes)
    {
        ModelProto variant = model.Clone();
        foreach (LinearNode linear in nodes)
        {
            variant.Graph.Input.Add(GraphWriter.Value(Input(linear), DataType.Float, linear.Inputs, linear.Outputs));
            UpdatedNode update = new(variant.Graph, linear, "dense");
            update.Add(update.Node("MatMul", "product", update.Float(), Input(linear)));
        }

        GraphIndex.ForgetShapes(variant.Graph);
        return variant;
    }

    public static string Input(LinearNode node) => $"{GraphIndex.OwnPrefix}{node.Output}.D";
}
