using global::Onnx;
using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>The layout of heads in the linear nodes around attention. It is read from the graph's GroupQueryAttention nodes and their KV cache inputs.</summary>
/// <param name="Queries">The number of query heads.</param>
/// <param name="Keys">The number of key heads, which is also the number of value heads.</param>
/// <param name="Size">The head size in the graph.</param>
/// <param name="Layout">The places of the model's dimensions in the graph's heads.</param>
internal sealed record AttentionHeads(int Queries, int Keys, int Size, HeadLayout Layout)
{
    private const string Attention = "GroupQueryAttention";
    private const int PastKey = 3;

    /// <returns>The layout, or null with a refusal if the graph does not define it.</returns>
    public static AttentionHeads? Of(ModelProto model, out string refusal)
    {
        refusal = "";
        (NodeProto Node, string Layout)[] all = [.. model.Graph.Node.Where(node => node.OpType == Attention).Select(node => (node, Description(model.Graph, node)))];
        if (all.Length == 0)
        {
            refusal = $"is next to attention without {Attention}, so the layout of its heads is unknown";
            return null;
        }

        if (all.FirstOrDefault(other => other.Layout != all[0].Layout) is { Node: { } node } different)
        {
            refusal = $"is next to attention of several kinds: '{all[0].Node.Name}' has {all[0].Layout}, '{node.Name}' {different.Layout}";
            return null;
        }

        NodeProto attention = all[0].Node;
        int queries = (int)attention.Number("num_heads"), keys = (int)attention.Number("kv_num_heads"), size = HeadSize(model.Graph, attention);
        if (queries < 1 || keys < 1 || size < 1)
        {
            refusal = $"is next to '{attention.Name}' with {all[0].Layout}, so the layout of its heads is unknown";
            return null;
        }

        if (GraphNotes.HeadsOf(model) is { } noted && noted.Padded == size)
        {
            return new(queries, keys, size, noted);
        }

        // The scale belongs to the model's head size, not to the padded one.
        float scale = Scale(attention);
        int own = scale > 0 ? (int)Math.Round(1 / (scale * (double)scale)) : size;
        if (own >= size || own % 2 != 0 || HeadLayout.Of(own).Padded != size)
        {
            return new(queries, keys, size, HeadLayout.Same(size));
        }

        if (model.ProducerName != GraphWriter.Producer)
        {
            refusal = $"is next to '{attention.Name}', whose scale belongs to heads of size {own}, but they have size {size}: the padding of '{model.ProducerName}' is unknown";
            return null;
        }

        return new(queries, keys, size, HeadLayout.Of(own));
    }

    /// <param name="targets">The targets of a node: one of q, k, v, o, or q, k, v together.</param>
    /// <returns>The parts of the node, or null with a refusal if the heads do not match the node's shape.</returns>
    public LinearPart[]? Parts(string[] targets, LinearShape shape, out string refusal)
    {
        bool isOutput = targets[0].Contains(".o_proj.", StringComparison.Ordinal);
        int[] heads = [.. targets.Select(target => isOutput || target.Contains(".q_proj.", StringComparison.Ordinal) ? Queries
            : target.Contains(".qkv_proj.", StringComparison.Ordinal) ? Queries + (2 * Keys)
            : Keys)];
        (int dimensions, string what) = isOutput ? (shape.Inputs, "inputs") : (shape.Outputs, "outputs");
        refusal = $"has {dimensions} {what}; heads ({string.Join(" + ", heads)} of {Size}) make {heads.Sum() * Size}";
        if (heads.Sum() * Size != dimensions)
        {
            return null;
        }

        int first = 0;
        return
        [
            .. targets.Zip(heads, (target, count) =>
            {
                int outputs = isOutput ? shape.Outputs : count * Size, start = first;
                first += outputs;
                return new LinearPart(target, start, outputs, isOutput ? null : Layout, isOutput ? Layout : null);
            }),
        ];
    }

    private static string Description(GraphProto graph, NodeProto node) => FormattableString.Invariant(
        $"{node.Number("num_heads")} heads and {node.Number("kv_num_heads")} of keys of size {HeadSize(graph, node)}, scale {Scale(node)}");

    private static float Scale(NodeProto node) => node.Attribute.FirstOrDefault(attribute => attribute.Name == "scale")?.F ?? 0;

    /// <summary>The last dimension of the past keys; 0 if the graph leaves it open.</summary>
    private static int HeadSize(GraphProto graph, NodeProto node)
    {
        string past = node.Input.ElementAtOrDefault(PastKey) ?? "";
        return graph.Input.FirstOrDefault(input => input.Name == past)?.Type.TensorType.Shape is { Dim: [_, _, _, var size] } ? (int)size.DimValue : 0;
    }
}
