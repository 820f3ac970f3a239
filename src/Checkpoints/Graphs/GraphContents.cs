using System.Globalization;
using Onnx;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>What ONNX Runtime does not tell of a graph: which operators it has and which files hold its weights.</summary>
internal sealed class GraphContents
{
    public GraphContents(ModelProto model)
    {
        Operators = model.Graph.Node.CountBy(node => node.OpType).ToDictionary();
        Weights = [.. model.Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External).Select(tensor => new ExternalWeight(tensor))];
    }

    public IReadOnlyDictionary<string, int> Operators { get; }

    /// <summary>The weights, which lie in files of the graph's folder, or in its own.</summary>
    public IReadOnlyList<ExternalWeight> Weights { get; }

    /// <summary>The files with weights, by name relative to the graph's folder, and how many bytes the graph expects of each at least.</summary>
    public IReadOnlyDictionary<string, long> WeightFiles =>
        new SortedDictionary<string, long>(Weights.GroupBy(weight => weight.File).ToDictionary(file => file.Key, file => file.Max(weight => weight.Offset + weight.Length)), StringComparer.Ordinal);
}

/// <summary>Where a weight lies.</summary>
internal sealed class ExternalWeight(TensorProto tensor)
{
    public TensorProto Tensor { get; } = tensor;

    /// <summary>Relative to the graph's folder.</summary>
    public string File { get; } = Entry(tensor, "location") ?? "";

    public long Offset { get; } = Number(tensor, "offset");

    /// <summary>In bytes; 0 where the graph does not say.</summary>
    public long Length { get; } = Number(tensor, "length");

    private static string? Entry(TensorProto tensor, string key) => tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    private static long Number(TensorProto tensor, string key) =>
        long.TryParse(Entry(tensor, key), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : 0;
}
