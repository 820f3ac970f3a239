using System.Runtime.InteropServices;
using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Testing.Foreign;

/// <summary>Writes the tensors of a checkpoint as initializers of the builder's graph into model.onnx.data, and keeps their values after rounding.</summary>
internal sealed class BuilderTensors(string folder, SafetensorsFile checkpoint, BuilderForm form) : IDisposable
{
    private const int BlockSize = BlockQuantization.BlockSize;
    private readonly FileStream data = File.Create(Path.Combine(folder, "model.onnx.data"));

    public List<TensorProto> Initializers { get; } = [];

    /// <summary>Values after rounding, by name in the checkpoint. Linear weights are [out, in].</summary>
    public Dictionary<string, (int[] Shape, float[] Data)> Effective { get; } = [];

    private DataType Type => form.IsHalf ? DataType.Float16 : DataType.Float;

    public string Plain(string name, string tensor)
    {
        int[] shape = [.. checkpoint.Tensors[tensor].Shape];
        float[] values = Rounded(checkpoint.ReadFloat32(tensor));
        Effective[tensor] = (shape, values);
        return Floats(name, values, shape);
    }

    /// <summary>Adds linear weights stacked along the outputs, transposed to [in, out] or as [out, in].</summary>
    public string Matrix(string name, string[] tensors, bool isTransposed)
    {
        int inputs = checkpoint.Tensors[tensors[0]].Shape[1];
        float[] values = [.. tensors.SelectMany(tensor => Keep(tensor, Rounded(checkpoint.ReadFloat32(tensor))))];
        int outputs = values.Length / inputs;
        return isTransposed
            ? Floats(name, [.. Enumerable.Range(0, values.Length).Select(i => values[(i % outputs * inputs) + (i / outputs)])], inputs, outputs)
            : Floats(name, values, outputs, inputs);
    }

    /// <summary>Adds quantised linear weights in blocks. The value of a weight is (q - middle) * scale.</summary>
    public (string Values, string Scales) Blocks(string name, string[] tensors, int bits)
    {
        int inputs = checkpoint.Tensors[tensors[0]].Shape[1], count = BlockQuantization.BlocksOf(inputs), middle = 1 << (bits - 1);
        List<byte> values = [];
        List<float> scales = [];
        foreach (string tensor in tensors)
        {
            BlockQuantization blocks = BlockQuantization.Of(checkpoint.ReadFloat32(tensor), inputs, bits);
            float[] rounded = Rounded(blocks.Scales);
            values.AddRange(blocks.Values);
            scales.AddRange(rounded);
            Keep(tensor, [.. Enumerable.Range(0, blocks.Scales.Length / count * inputs).Select(i =>
            {
                int block = (i / inputs * count) + (i % inputs / BlockSize), at = (block * BlockSize) + (i % inputs % BlockSize);
                int q = bits == 8 ? blocks.Values[at] : (blocks.Values[at / 2] >> (at % 2 * 4)) & 15;
                return rounded[block] * (q - middle);
            })]);
        }

        bool isDequantized = form.Weights == BuilderWeights.FourBitsDequantized;
        int rows = scales.Count / count;
        int[] shape = isDequantized ? [rows, inputs] : [rows, count, BlockQuantization.BytesOf(bits)];

        // Signed four-bit values have zero as the middle, so the highest bit is flipped. They have no padding after the last input.
        byte[] bytes = isDequantized ? [.. values.Chunk(count * BlockSize / 2).SelectMany(row => row.Take(inputs / 2)).Select(two => (byte)(two ^ 0x88))] : [.. values];
        External(name + (isDequantized ? ".qweight" : $"_Q{bits}G{BlockSize}"), isDequantized ? DataType.Int4 : DataType.Uint8, bytes, shape);
        return (Initializers[^1].Name, Floats(name + "_scales", [.. scales], rows, count));
    }

    public string Bias(string name, string[] tensors) => Floats(name, [.. tensors.SelectMany(tensor =>
    {
        string bias = tensor.Replace(".weight", ".bias", StringComparison.Ordinal);
        int outputs = checkpoint.Tensors[tensor].Shape[0];
        Effective[bias] = ([outputs], Rounded([.. Enumerable.Range(0, outputs).Select(i => MathF.Sin(i + tensor.Length))]));
        return Effective[bias].Data;
    })]);

    public string Floats(string name, float[] values, params int[] shape)
    {
        byte[] bytes = form.IsHalf
            ? MemoryMarshal.AsBytes<Half>([.. values.Select(value => (Half)value)]).ToArray()
            : MemoryMarshal.AsBytes<float>(values).ToArray();
        return External(name, Type, bytes, shape.Length == 0 ? [values.Length] : shape);
    }

    public string Integers(string name, params long[] values)
    {
        Initializers.Add(new() { Name = name, DataType = (int)DataType.Int64, Dims = { values.Length }, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>(values)) });
        return name;
    }

    public void Dispose() => data.Dispose();

    private float[] Keep(string tensor, float[] values)
    {
        Effective[tensor] = ([.. checkpoint.Tensors[tensor].Shape], values);
        return values;
    }

    private float[] Rounded(float[] values) => form.IsHalf ? [.. values.Select(value => (float)(Half)value)] : values;

    private string External(string name, DataType type, byte[] bytes, int[] shape)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)type };
        tensor.Dims.Add(shape.Select(size => (long)size));
        GraphWriter.Locate(tensor, "model.onnx.data", data.Position, bytes.Length);
        data.Write(bytes);
        Initializers.Add(tensor);
        return name;
    }
}
