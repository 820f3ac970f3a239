using System.Runtime.InteropServices;
using global::Onnx;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Rewrites a float32 graph of <see cref="DecoderGraphWriter"/>: MatMulNBits replaces its linear nodes, and one file holds all its weights.</summary>
internal sealed class QuantizedGraph : IDisposable
{
    // Level 4 quantises activations to 8 bits too, block by block. The kernel is much faster with it.
    private const long AccuracyLevel = 4;

    private const int HeadBits = 8;

    // Every weight begins at a cache line, so that a mapped file is aligned for all types.
    private const int Alignment = 64;

    private const int CopiedBytes = 16 << 20;

    private readonly string sourceFolder;
    private readonly string fileName;
    private readonly FileStream data;
    private readonly List<TensorProto> weights = [];

    private QuantizedGraph(string sourceFolder, string targetFolder, string fileName)
    {
        (this.sourceFolder, this.fileName) = (sourceFolder, fileName);
        data = File.Create(Path.Combine(targetFolder, fileName));
    }

    /// <param name="sourceFolder">The folder of the float32 graph and its weights.</param>
    /// <param name="model">The float32 graph; it is not changed.</param>
    /// <param name="targetFolder">The folder that receives the file with the weights.</param>
    /// <param name="fileName">The name of that file.</param>
    /// <param name="bits">The bits of each weight of the layers, 4 or 8. The head has 8 bits, since its errors are errors of the logits.</param>
    /// <param name="head">The name of the head's output.</param>
    public static ModelProto Write(string sourceFolder, ModelProto model, string targetFolder, string fileName, int bits, string head)
    {
        ModelProto quantized = model.Clone();
        GraphProto graph = quantized.Graph;
        using QuantizedGraph writer = new(sourceFolder, targetFolder, fileName);
        Dictionary<string, TensorProto> given = graph.Initializer.ToDictionary(weight => weight.Name);
        foreach (NodeProto node in graph.Node.Where(node => node.OpType == "FusedMatMul" && given.ContainsKey(node.Input[1])))
        {
            writer.Quantize(node, given[node.Input[1]], node.Output[0] == head ? HeadBits : bits);
        }

        // Embeddings and norms are copied too, so that the graph needs no other file.
        HashSet<string> used = [.. graph.Node.SelectMany(node => node.Input)];
        foreach (TensorProto other in given.Values.Where(weight => used.Contains(weight.Name)))
        {
            writer.Copy(other);
        }

        graph.Initializer.Clear();
        graph.Initializer.Add(writer.weights);
        return quantized;
    }

    public void Dispose() => data.Dispose();

    private void Quantize(NodeProto node, TensorProto weight, int bits)
    {
        (int outputs, int inputs) = ((int)weight.Dims[0], (int)weight.Dims[1]);
        int count = BlockQuantization.BlocksOf(inputs);
        (string values, string scales) = ($"{node.Name}.quantized", $"{node.Name}.scales");
        List<float> ofBlocks = [];
        Add(
            new TensorProto { Name = values, DataType = (int)DataType.Uint8, Dims = { outputs, count, BlockQuantization.BytesOf(bits) } },
            Read(weight, TensorSource.PieceOf([outputs, inputs]) * sizeof(float)).Select(piece =>
            {
                BlockQuantization blocks = BlockQuantization.Of(MemoryMarshal.Cast<byte, float>(piece.Span), inputs, bits);
                ofBlocks.AddRange(blocks.Scales);
                return (ReadOnlyMemory<byte>)blocks.Values;
            }));
        Add(new TensorProto { Name = scales, DataType = (int)DataType.Float, Dims = { outputs, count } }, [MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(ofBlocks)).ToArray()]);
        string input = node.Input[0];
        node.OpType = "MatMulNBits";
        node.Input.Clear();
        node.Input.Add([input, values, scales]);
        node.Attribute.Clear();
        node.Attribute.Add(
        [
            GraphWriter.Attribute("K", (long)inputs),
            GraphWriter.Attribute("N", (long)outputs),
            GraphWriter.Attribute("bits", (long)bits),
            GraphWriter.Attribute("block_size", (long)BlockQuantization.BlockSize),
            GraphWriter.Attribute("accuracy_level", AccuracyLevel),
        ]);
    }

    private void Copy(TensorProto weight)
    {
        if (weight.DataLocation != DataLocation.External)
        {
            weights.Add(weight);
            return;
        }

        IEnumerable<ReadOnlyMemory<byte>> pieces = Read(weight, CopiedBytes);
        weight = weight.Clone();
        weight.ExternalData.Clear();
        Add(weight, pieces);
    }

    /// <summary>The bytes of a weight; each piece is valid until the next.</summary>
    private IEnumerable<ReadOnlyMemory<byte>> Read(TensorProto tensor, int pieceBytes)
    {
        ExternalWeight weight = new(tensor);
        using FileStream file = File.OpenRead(Path.Combine(sourceFolder, weight.File));
        file.Position = weight.Offset;
        byte[] bytes = new byte[Math.Min(pieceBytes, weight.Length)];
        for (long left = weight.Length; left > 0; left -= bytes.Length)
        {
            Memory<byte> piece = bytes.AsMemory(0, (int)Math.Min(bytes.Length, left));
            file.ReadExactly(piece.Span);
            yield return piece;
        }
    }

    private void Add(TensorProto tensor, IEnumerable<ReadOnlyMemory<byte>> pieces)
    {
        data.Position = (data.Position + Alignment - 1) / Alignment * Alignment;
        long start = data.Position;
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            data.Write(piece.Span);
        }

        GraphWriter.Locate(tensor, fileName, start, data.Position - start);
        weights.Add(tensor);
    }
}
