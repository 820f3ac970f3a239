using System.Globalization;
using Onnx;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>The operators of a graph and the files of its weights. ONNX Runtime does not report them.</summary>
internal sealed class GraphContents
{
    public GraphContents(ModelProto model)
    {
        Operators = model.Graph.Node.CountBy(node => node.OpType).ToDictionary();
        RotaryPositions = Rotary(model.Graph);
        LongPositions = GraphNotes.LongPositionsOf(model);
        Weights = [.. model.Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External).Select(tensor => new ExternalWeight(tensor))];
    }

    public IReadOnlyDictionary<string, int> Operators { get; }

    /// <summary>The number of positions of the graph's shortest table of cosines; null if it has none.</summary>
    public long? RotaryPositions { get; }

    /// <summary>The second kind of rotary positions; null if the graph has one kind.</summary>
    public LongPositions? LongPositions { get; }

    /// <summary>The weights. They are in files of the graph's folder, or in the graph's own file.</summary>
    public IReadOnlyList<ExternalWeight> Weights { get; }

    /// <summary>The smallest number of bytes of each file with weights, by the file's name relative to the graph's folder.</summary>
    public IReadOnlyDictionary<string, long> WeightFiles =>
        new SortedDictionary<string, long>(Weights.GroupBy(weight => weight.File).ToDictionary(file => file.Key, file => file.Max(weight => weight.Offset + weight.Length)), StringComparer.Ordinal);

    // ONNX Runtime's contrib operators: GroupQueryAttention takes cos_cache as its input 7, RotaryEmbedding as its input 2.
    private static long? Rotary(GraphProto graph)
    {
        HashSet<string> tables = [.. graph.Node.Select(node => (Input: node.OpType switch { "GroupQueryAttention" => 7, "RotaryEmbedding" => 2, _ => int.MaxValue }, Node: node))
            .Where(use => use.Node.Input.Count > use.Input).Select(use => use.Node.Input[use.Input])];
        long[] positions = [.. graph.Initializer.Where(tensor => tables.Contains(tensor.Name) && tensor.Dims.Count == 2).Select(tensor => tensor.Dims[0])];
        return positions.Length == 0 ? null : positions.Min();
    }
}

/// <summary>The place of a weight in a file.</summary>
internal sealed class ExternalWeight(TensorProto tensor)
{
    public TensorProto Tensor { get; } = tensor;

    /// <summary>The file's name relative to the graph's folder.</summary>
    public string File { get; } = Entry(tensor, "location") ?? "";

    public long Offset { get; } = Number(tensor, "offset");

    /// <summary>The length in bytes; 0 if the graph does not give it.</summary>
    public long Length { get; } = Number(tensor, "length");

    private static string? Entry(TensorProto tensor, string key) => tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    private static long Number(TensorProto tensor, string key) =>
        long.TryParse(Entry(tensor, key), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : 0;
}
