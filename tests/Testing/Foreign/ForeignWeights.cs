using System.Runtime.InteropServices;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Testing.Foreign;

/// <summary>Adds a checkpoint's weights to a graph: inside it, or in two files of other names.</summary>
internal sealed class ForeignWeights(string folder, bool external) : IDisposable
{
    private const string EmbeddingFile = "embeddings.bin";
    private const string LayersFile = "decoder_weights.bin";

    private readonly SafetensorsFile _file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));

    public string Add(GraphWriter graph, string tensor) => Add(graph, tensor, _file.ReadFloat32(tensor), [.. _file.Tensors[tensor].Shape]);

    /// <summary>A linear weight as [in, out].</summary>
    public string AddTransposed(GraphWriter graph, string tensor)
    {
        var (source, rows, columns) = (_file.ReadFloat32(tensor), _file.Tensors[tensor].Shape[0], _file.Tensors[tensor].Shape[1]);
        var transposed = new float[source.Length];
        for (var i = 0; i < source.Length; i++)
        {
            transposed[(i % columns * rows) + (i / columns)] = source[i];
        }

        return Add(graph, tensor + ".T", transposed, [columns, rows]);
    }

    public void Dispose() => _file.Dispose();

    private string Add(GraphWriter graph, string name, float[] values, int[] shape)
    {
        if (!external)
        {
            return graph.Constant(name, values, shape);
        }

        var file = name.Contains("embed", StringComparison.Ordinal) ? EmbeddingFile : LayersFile;
        using var stream = new FileStream(Path.Combine(folder, file), FileMode.Append);
        var offset = stream.Position;
        stream.Write(MemoryMarshal.AsBytes(values.AsSpan()));
        return graph.External(name, new WeightRange(file, offset, shape));
    }
}
