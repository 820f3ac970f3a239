using System.Runtime.InteropServices;
using Google.Protobuf;
using Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// Graphs of onnxruntime-genai's builder with LongRoPE choose their rotary tables in each run, by the length of the text so far (<c>If</c> over
/// <c>Greater</c>). Keys of both kinds would meet in one cache where a text grows past that length. In the variant both tables stand in one, and the
/// positions choose: <see cref="GraphNotes.LongPositionsOf"/>.
/// </summary>
internal static class RotarySwitch
{
    private const int Cosines = 7, Sines = 8, Positions = 9;

    /// <summary>The variant of a graph with such a switch; the graph itself where it has none.</summary>
    /// <param name="positionIds">The name of the input for positions, which is added.</param>
    /// <exception cref="InvalidDataException">The graph has an <c>If</c> of another form around its rotary tables.</exception>
    public static ModelProto Without(ModelProto model, string positionIds)
    {
        GraphIndex index = new(model.Graph);
        NodeProto[] attentions = [.. model.Graph.Node.Where(node => node.OpType == "GroupQueryAttention" && node.Input.Count > Sines)];
        NodeProto[] switches = [.. attentions.SelectMany(node => new[] { node.Input[Cosines], node.Input[Sines] }).Select(index.Producer).OfType<NodeProto>().Where(node => node.OpType == "If").Distinct()];
        if (switches.Length == 0)
        {
            return model;
        }

        if (switches is not [var only] || LongestShort(only, index) is not { } longest || attentions.Any(node => node.Input.Count > Positions && node.Input[Positions].Length > 0))
        {
            throw new InvalidDataException("its rotary tables depend on the input in a form that is not known; accepted is one If over Greater(length, constant).");
        }

        ModelProto variant = model.Clone();
        GraphProto graph = variant.Graph;
        graph.Node.RemoveAt(model.Graph.Node.IndexOf(only));
        int first = 0;
        for (int i = 0; i < only.Output.Count; i++)
        {
            TensorProto ofShort = Table(only, "else_branch", i), ofLong = Table(only, "then_branch", i);
            first = (int)ofShort.Dims[0];
            graph.Initializer.Add(new TensorProto
            {
                Name = only.Output[i],
                DataType = ofShort.DataType,
                Dims = { ofShort.Dims[0] + ofLong.Dims[0], ofShort.Dims[1] },
                RawData = ByteString.CopyFrom([.. Bytes(ofShort), .. Bytes(ofLong)]),
            });
        }

        if (!graph.Input.Any(input => input.Name == positionIds))
        {
            graph.Input.Add(GraphWriter.Value(positionIds, DataType.Int64, "batch_size", "sequence_length"));
        }

        foreach (NodeProto attention in graph.Node.Where(node => node.OpType == "GroupQueryAttention" && node.Input.Count > Sines && node.Input[Cosines].Length > 0))
        {
            while (attention.Input.Count <= Positions)
            {
                attention.Input.Add("");
            }

            attention.Input[Positions] = positionIds;
        }

        variant.MetadataProps.Add(GraphNotes.Of(new LongPositions(longest, first)));
        GraphIndex.ForgetShapes(graph);
        return variant;
    }

    /// <summary>The constant that the length is compared with; null for another condition.</summary>
    private static int? LongestShort(NodeProto branch, GraphIndex index) =>
        index.Producer(branch.Input[0]) is { OpType: "Greater" } greater && index.Constant(greater.Input[1]) is { } constant && constant.DataType == (int)DataType.Int64
            ? (int)MemoryMarshal.Read<long>(Bytes(constant))
            : null;

    private static TensorProto Table(NodeProto branch, string name, int output)
    {
        GraphProto body = branch.Attribute.First(attribute => attribute.Name == name).G;
        GraphIndex index = new(body);
        TensorProto? table = index.Constant(body.Output[output].Name);
        return table is { Dims.Count: 2, DataLocation: not DataLocation.External } ? table : throw new InvalidDataException($"the {name} of its rotary tables is no constant of two dimensions.");
    }

    private static ReadOnlySpan<byte> Bytes(TensorProto tensor) => tensor.RawData.Length > 0 ? tensor.RawData.Span
        : tensor.DataType == (int)DataType.Int64 ? MemoryMarshal.AsBytes<long>(tensor.Int64Data.ToArray())
        : MemoryMarshal.AsBytes<float>(tensor.FloatData.ToArray());
}
