using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// A variant of a decoder's graph that appends blocks of different lengths to several sequences in one run. The tokens of all blocks stand one
/// after the other in a batch of 1, and only attention separates them.
/// </summary>
/// <remarks>
/// With a past, GroupQueryAttention takes several new tokens of one sequence only. The variant therefore replaces it by one node for each sequence,
/// with that sequence's keys and values, between a Split and a Concat. The linear nodes dominate the cost; they read their weights once for all sequences.
/// </remarks>
internal static class RaggedGraph
{
    /// <summary>The name of the input with the lengths of the blocks: int64 [sequences].</summary>
    public const string Blocks = GraphIndex.OwnPrefix + "blocks";

    private const string Attention = "GroupQueryAttention";
    private const int Past = 3, Lengths = 5, Total = 6, Positions = 9;

    /// <summary>The name of an input or output of one sequence.</summary>
    public static string Of(string name, int sequence) => $"{name}.{sequence}";

    /// <summary>The name of the input with the last position of a sequence's block: int32 [1].</summary>
    public static string LastPosition(int sequence) => Of(GraphIndex.OwnPrefix + "last_position", sequence);

    /// <summary>The name of the input with a sequence's length including its block: int32, a scalar.</summary>
    public static string Length(int sequence) => Of(GraphIndex.OwnPrefix + "length", sequence);

    /// <param name="model">A graph whose attention nodes are all GroupQueryAttention; it is not changed.</param>
    public static ModelProto Of(ModelProto model, int sequences)
    {
        ModelProto variant = model.Clone();
        GraphProto graph = variant.Graph;
        graph.Input.Add(GraphWriter.Value(Blocks, DataType.Int64, sequences));
        for (int s = 0; s < sequences; s++)
        {
            graph.Input.Add(GraphWriter.Value(LastPosition(s), DataType.Int32, 1));
            graph.Input.Add(GraphWriter.Value(Length(s), DataType.Int32));
        }

        NodeProto[] attentions = [.. graph.Node.Where(node => node.OpType == Attention)];
        foreach (string positions in attentions.Select(node => node.Input.ElementAtOrDefault(Positions) ?? "").Where(positions => positions.Length > 0).Distinct())
        {
            graph.Node.Insert(0, Split(positions, sequences));
        }

        foreach (NodeProto attention in attentions)
        {
            Replace(graph, attention, sequences);
        }

        GraphIndex.ForgetShapes(graph);
        return variant;
    }

    private static void Replace(GraphProto graph, NodeProto attention, int sequences)
    {
        int place = graph.Node.IndexOf(attention);
        graph.Node.RemoveAt(place);
        List<NodeProto> nodes = [];
        NodeProto[] each = [.. Enumerable.Range(0, sequences).Select(s => For(attention, s))];
        nodes.AddRange(attention.Input.Take(Past).Where(input => input.Length > 0).Select(packed => Split(packed, sequences)));

        NodeProto concat = new() { OpType = "Concat", Name = $"{attention.Name}.blocks", Output = { attention.Output[0] }, Attribute = { GraphWriter.Attribute("axis", 1L) } };
        concat.Input.AddRange(each.Select(node => node.Output[0]));
        foreach (NodeProto node in nodes.Concat(each).Append(concat))
        {
            graph.Node.Insert(place++, node);
        }

        foreach (string past in attention.Input.Skip(Past).Take(2))
        {
            Multiply(graph.Input, past, sequences);
        }

        foreach (string present in attention.Output.Skip(1).Take(2))
        {
            Multiply(graph.Output, present, sequences);
        }
    }

    /// <summary>Splits the positions of a value, which is [1, positions, ...], into those of each sequence.</summary>
    private static NodeProto Split(string packed, int sequences)
    {
        NodeProto split = new() { OpType = "Split", Name = $"{packed}.blocks", Input = { packed, Blocks }, Attribute = { GraphWriter.Attribute("axis", 1L) } };
        split.Output.AddRange(Enumerable.Range(0, sequences).Select(s => Of(packed, s)));
        return split;
    }

    private static NodeProto For(NodeProto attention, int sequence)
    {
        NodeProto node = attention.Clone();
        node.Name = Of(node.Name, sequence);
        for (int i = 0; i < Math.Min(node.Input.Count, Past + 2); i++)
        {
            node.Input[i] = node.Input[i].Length == 0 ? "" : Of(node.Input[i], sequence);
        }

        if (node.Input.Count > Positions && node.Input[Positions].Length > 0)
        {
            node.Input[Positions] = Of(node.Input[Positions], sequence);
        }

        (node.Input[Lengths], node.Input[Total]) = (LastPosition(sequence), Length(sequence));
        for (int i = 0; i < node.Output.Count; i++)
        {
            node.Output[i] = Of(node.Output[i], sequence);
        }

        return node;
    }

    private static void Multiply(Google.Protobuf.Collections.RepeatedField<ValueInfoProto> values, string name, int sequences)
    {
        ValueInfoProto one = values.Single(value => value.Name == name);
        values.Remove(one);
        for (int s = 0; s < sequences; s++)
        {
            ValueInfoProto own = one.Clone();
            own.Name = Of(name, s);
            own.Type.TensorType.Shape.Dim[0].DimValue = 1;
            own.Type.TensorType.Shape.Dim[2].DimParam = $"width.{s}";
            values.Add(own);
        }
    }
}
