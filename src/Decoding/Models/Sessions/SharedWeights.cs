using System.IO.MemoryMappedFiles;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The weights beside a graph, mapped from their files once, and the copies that kernels pack, packed once. All sessions of the graph share
/// them. It must be disposed after the sessions.
/// </summary>
internal sealed unsafe class SharedWeights : IDisposable
{
    private readonly List<(MemoryMappedFile File, MemoryMappedViewAccessor View)> files = [];
    private readonly List<(string Name, OrtValue Value)> weights = [];
    private readonly PrePackedWeightsContainer packed = new();
    private volatile bool sharesPacked = true;

    /// <exception cref="IOException">A file is missing or too short.</exception>
    public SharedWeights(string folder, GraphContents contents)
    {
        try
        {
            foreach (IGrouping<string, ExternalWeight> file in contents.Weights.GroupBy(weight => weight.File))
            {
                Map(Path.Combine(folder, file.Key), file);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Opens a session of a graph whose weights have the names of the original graph.</summary>
    public InferenceSession Open(byte[] graph, SessionOptions options)
    {
        foreach ((string name, OrtValue value) in weights)
        {
            options.AddInitializer(name, value);
        }

        InferenceSession session = OpenSession(graph, options);
        files.ForEach(file => MappedPages.Release(file.View.SafeMemoryMappedViewHandle));
        return session;
    }

    public void Dispose()
    {
        packed.Dispose();
        weights.ForEach(weight => weight.Value.Dispose());
        foreach ((MemoryMappedFile file, MemoryMappedViewAccessor view) in files)
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            view.Dispose();
            file.Dispose();
        }

        weights.Clear();
        files.Clear();
    }

    /// <summary>
    /// Opens a session with the container of packed weights, or without it if that fails. Some kernels, such as some for float16, pack weights for their
    /// own session only and refuse the container. For any other cause the second attempt throws the exception again.
    /// </summary>
    private InferenceSession OpenSession(byte[] graph, SessionOptions options)
    {
        if (sharesPacked)
        {
            try
            {
                return new(graph, options, packed);
            }
            catch (OnnxRuntimeException)
            {
            }
        }

        InferenceSession session = new(graph, options);
        sharesPacked = false;
        return session;
    }

    private void Map(string path, IEnumerable<ExternalWeight> inFile)
    {
        long size = FileLength.Of(path);
        MemoryMappedFile file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        MemoryMappedViewAccessor view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        files.Add((file, view));
        foreach (ExternalWeight weight in inFile)
        {
            if (SizeOf((TensorElementType)weight.Tensor.DataType) is not { } element)
            {
                continue;
            }

            long bytes = weight.Tensor.Dims.Aggregate((long)element, (product, dimension) => product * dimension);
            if (weight.Offset + bytes > size)
            {
                throw new IOException($"'{weight.Tensor.Name}' ends at byte {weight.Offset + bytes} of {path}, which has {size}.");
            }

            weights.Add((
                weight.Tensor.Name,
                OrtValue.CreateTensorValueWithData(
                    OrtMemoryInfo.DefaultInstance, (TensorElementType)weight.Tensor.DataType, [.. weight.Tensor.Dims], (nint)(start + weight.Offset), bytes)));
        }
    }

    /// <summary>The weight as a shared tensor; null for types that ONNX Runtime loads once for each session.</summary>
    private static int? SizeOf(TensorElementType type) => type switch
    {
        TensorElementType.UInt8 or TensorElementType.Int8 => 1,
        TensorElementType.Float16 or TensorElementType.BFloat16 => 2,
        TensorElementType.Float or TensorElementType.Int32 => 4,
        TensorElementType.Int64 => 8,
        _ => null,
    };
}
