using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks one weight of a graph: its size, its place in the file, and that it has no NaN or infinity.</summary>
internal static class TensorCheck
{
    private const int PieceBytes = 1 << 20, MaxDimensions = 8;

    // The package's list of types does not have this one yet.
    private const DataType Uint4 = (DataType)21, Int4 = (DataType)22;

    private static readonly string[] Keys = ["location", "offset", "length", "checksum"];

    /// <param name="graph">Name of the graph's file, for messages and for weights that are in it.</param>
    /// <exception cref="EngineException">InvalidExpert, naming the weight.</exception>
    public static void Check(string folder, string graph, TensorProto tensor)
    {
        string shown = UploadName.Printable(tensor.Name);
        DataType type = (DataType)tensor.DataType;
        if (BitsOf(type) is not { } bits)
        {
            throw UploadName.Refused(graph, $"has the weight '{shown}' of type {type}; accepted are floating point of 16 to 64 bits, integers of 4 to 64, and bool.");
        }

        if (tensor.Dims.Count > MaxDimensions || tensor.Dims.Any(size => size < 0) || tensor.Segment is not null)
        {
            throw UploadName.Refused(graph, $"has the weight '{shown}' of the shape [{string.Join(", ", tensor.Dims)}]; accepted are up to {MaxDimensions} sizes of at least 0.");
        }

        // A wide type, so that a forged shape does not overflow.
        Int128 count = tensor.Dims.Aggregate((Int128)1, (product, size) => Int128.Min(product * size, long.MaxValue));
        Int128 bytes = ((count * bits) + 7) / 8;
        if (tensor.DataLocation == DataLocation.External || tensor.ExternalData.Count > 0)
        {
            CheckExternal(folder, graph, tensor, bytes);
            return;
        }

        bool fits = tensor.RawData.Length > 0
            ? tensor.RawData.Length == bytes
            : tensor.FloatData.Count + tensor.DoubleData.Count + tensor.Int32Data.Count + tensor.Int64Data.Count + tensor.Uint64Data.Count is var given
                && (given == count || (bits == 4 && given == (count + 1) / 2));
        if (!fits || tensor.StringData.Count > 0)
        {
            throw UploadName.Refused(graph, $"has the weight '{shown}' of {type} [{string.Join(", ", tensor.Dims)}], which its data do not fill.");
        }

        bool isFinite = tensor.RawData.Length > 0 ? IsFinite(type, tensor.RawData.Span)
            : type is DataType.Float16 or DataType.Bfloat16 ? IsFinite(type, MemoryMarshal.AsBytes<ushort>(tensor.Int32Data.Select(value => (ushort)value).ToArray()))
            : tensor.FloatData.All(float.IsFinite) && tensor.DoubleData.All(double.IsFinite);
        RequireFinite(isFinite, graph, shown);
    }

    private static void CheckExternal(string folder, string graph, TensorProto tensor, Int128 bytes)
    {
        string shown = UploadName.Printable(tensor.Name);
        if (tensor.ExternalData.GroupBy(entry => entry.Key).FirstOrDefault(key => key.Count() > 1 || !Keys.Contains(key.Key)) is { } wrong)
        {
            throw UploadName.Refused(graph, $"says '{UploadName.Printable(wrong.Key)}' about the place of the weight '{shown}', or says it twice; accepted are {string.Join(", ", Keys)}.");
        }

        string file = Entry(tensor, "location") ?? "";
        string path = Path.Combine(folder, Path.GetFileName(file));
        if (file.Length == 0 || file != Path.GetFileName(file) || file.Contains('\\') || file.Contains(':') || !File.Exists(path))
        {
            throw UploadName.Refused(graph, $"has the weight '{shown}' in '{UploadName.Printable(file)}'; accepted is a file of the folder.");
        }

        long offset = Number(graph, tensor, "offset") ?? 0, length = Number(graph, tensor, "length") ?? (long)Int128.Min(bytes, long.MaxValue);
        long size = FileLength.Of(path);
        if (bytes != length || offset > size || length > size - offset)
        {
            throw UploadName.Refused(
                graph, $"has the weight '{shown}', which needs {bytes} bytes, in bytes {offset} to {(Int128)offset + length} of '{file}', which has {size}.");
        }

        RequireFinite(IsFinite((DataType)tensor.DataType, path, offset, length), graph, shown);
    }

    private static bool IsFinite(DataType type, string path, long offset, long length)
    {
        if (type is not (DataType.Float or DataType.Float16 or DataType.Bfloat16 or DataType.Double))
        {
            return true;
        }

        using FileStream file = File.OpenRead(path);
        file.Position = offset;
        byte[] piece = new byte[PieceBytes];
        while (length > 0)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(length, PieceBytes));
            file.ReadExactly(bytes);
            if (!IsFinite(type, bytes))
            {
                return false;
            }

            length -= bytes.Length;
        }

        return true;
    }

    private static bool IsFinite(DataType type, ReadOnlySpan<byte> bytes) => type switch
    {
        DataType.Float => TensorPrimitives.IsFiniteAll(MemoryMarshal.Cast<byte, float>(bytes)),
        DataType.Double => TensorPrimitives.IsFiniteAll(MemoryMarshal.Cast<byte, double>(bytes)),
        DataType.Float16 => TensorPrimitives.IsFiniteAll(MemoryMarshal.Cast<byte, Half>(bytes)),

        DataType.Bfloat16 => IsFiniteBrain(MemoryMarshal.Cast<byte, ushort>(bytes)),
        _ => true,
    };

    private static bool IsFiniteBrain(ReadOnlySpan<ushort> values)
    {
        const int Exponent = 0x7F80;
        foreach (ushort value in values)
        {
            if ((value & Exponent) == Exponent)
            {
                return false;
            }
        }

        return true;
    }

    private static void RequireFinite(bool isFinite, string graph, string weight)
    {
        if (!isFinite)
        {
            throw UploadName.Refused(graph, $"has NaN or infinity in the weight '{weight}'.");
        }
    }

    private static string? Entry(TensorProto tensor, string key) => tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    private static long? Number(string graph, TensorProto tensor, string key) =>
        Entry(tensor, key) is not { } text ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value
        : throw UploadName.Refused(graph, $"has the weight '{UploadName.Printable(tensor.Name)}' at the {key} '{UploadName.Printable(text)}'; accepted is a number of bytes.");

    private static int? BitsOf(DataType type) => type switch
    {
        DataType.Double or DataType.Int64 or DataType.Uint64 => 64,
        DataType.Float or DataType.Int32 or DataType.Uint32 => 32,
        DataType.Float16 or DataType.Bfloat16 or DataType.Int16 or DataType.Uint16 => 16,
        DataType.Int8 or DataType.Uint8 or DataType.Bool => 8,
        Uint4 or Int4 => 4,
        _ => null,
    };
}
