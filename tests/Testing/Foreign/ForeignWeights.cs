using System.Runtime.InteropServices;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Testing.Foreign;

/// <summary>Adds the weights of a checkpoint to a graph, inside the graph or in two external files.</summary>
internal sealed class ForeignWeights(string folder, bool external) : IDisposable
{
    private const string EmbeddingFile = "embeddings.bin";
    private const string LayersFile = "decoder_weights.bin";

    private readonly SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));

    public string Add(GraphWriter graph, string tensor) => Add(graph, tensor, file.ReadFloat32(tensor), [.. file.Tensors[tensor].Shape]);

    /// <summary>Adds a linear weight as [in, out].</summary>
    public string AddTransposed(GraphWriter graph, string tensor)
    {
        (float[]? source, int rows, int columns) = (file.ReadFloat32(tensor), file.Tensors[tensor].Shape[0], file.Tensors[tensor].Shape[1]);
        float[] transposed = new float[source.Length];
        for (int i = 0; i < source.Length; i++)
        {
            transposed[(i % columns * rows) + (i / columns)] = source[i];
        }

        return Add(graph, tensor + ".T", transposed, [columns, rows]);
    }

    public void Dispose() => file.Dispose();

    private string Add(GraphWriter graph, string name, float[] values, int[] shape)
    {
        if (!external)
        {
            return graph.Constant(name, values, shape);
        }

        string file = name.Contains("embed", StringComparison.Ordinal) ? EmbeddingFile : LayersFile;
        using FileStream stream = new(Path.Combine(folder, file), FileMode.Append);
        long offset = stream.Position;
        stream.Write(MemoryMarshal.AsBytes(values.AsSpan()));
        return graph.External(name, new WeightRange(file, offset, shape));
    }
}
