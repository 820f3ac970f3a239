using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Decoding.Onnx;

/// <summary>
/// A file of named tensors in Hugging Face's safetensors format: 8 bytes of header length, a JSON header, then the raw little-endian data.
/// </summary>
/// <remarks>The header is checked as a whole before any tensor is allocated. Reading is thread-safe.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle _file;

    private SafetensorsFile(string path, SafeFileHandle file, IReadOnlyDictionary<string, SafetensorsTensor> tensors)
    {
        Path = path;
        _file = file;
        Tensors = tensors;
    }

    public string Path { get; }

    /// <summary>By name.</summary>
    public IReadOnlyDictionary<string, SafetensorsTensor> Tensors { get; }

    /// <exception cref="EngineException">InvalidModelFolder: no such file, or a header that is broken or does not fit the file; names file and tensor.</exception>
    public static SafetensorsFile Open(string path)
    {
        if (!File.Exists(path))
        {
            throw new EngineException(EngineError.InvalidModelFolder, $"{path}: no such file.", path);
        }

        var file = File.OpenHandle(path);
        try
        {
            return new SafetensorsFile(path, file, SafetensorsHeader.Read(path, file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The tensor's elements in row-major order; F16 and BF16 are widened.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: no tensor of that name, or one that is not of floating point.</exception>
    public float[] ReadFloat32(string name)
    {
        if (!Tensors.TryGetValue(name, out var tensor))
        {
            throw new EngineException(EngineError.InvalidModelFolder, $"{Path}: no tensor '{name}'.", name);
        }

        if (tensor.DType is not ("F32" or "F16" or "BF16") || tensor.ElementCount > Array.MaxLength)
        {
            throw new EngineException(
                EngineError.InvalidModelFolder,
                $"{Path}: tensor '{name}' is {tensor.DType} with {tensor.ElementCount} elements; F32, F16 or BF16 with at most {Array.MaxLength} can be read.",
                name);
        }

        var values = new float[tensor.ElementCount];
        if (tensor.DType == "F32")
        {
            ReadAll(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        }

        var halves = new ushort[values.Length];
        ReadAll(tensor, MemoryMarshal.AsBytes(halves.AsSpan()));
        if (tensor.DType == "F16")
        {
            TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<ushort, Half>(halves), values);
            return values;
        }

        for (var i = 0; i < values.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }

        return values;
    }

    /// <summary>Writes float32 tensors in the given order, one directly after the other. The file appears whole or not at all.</summary>
    /// <exception cref="ArgumentException">A name is given twice, or a shape and its data differ in size.</exception>
    public static void Write(string path, IEnumerable<(string Name, int[] Shape, float[] Data)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var all = tensors.ToArray();
        var header = SafetensorsHeader.Format(all);
        var partial = path + "." + Guid.NewGuid().ToString("N")[..8] + ".partial";
        try
        {
            using (var stream = File.Create(partial, 1 << 16))
            {
                Span<byte> length = stackalloc byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
                stream.Write(length);
                stream.Write(header);
                foreach (var (_, _, data) in all)
                {
                    stream.Write(MemoryMarshal.AsBytes(data.AsSpan()));
                }

                stream.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    public void Dispose() => _file.Dispose();

    private void ReadAll(SafetensorsTensor tensor, Span<byte> bytes)
    {
        var offset = tensor.Offset;
        while (bytes.Length > 0)
        {
            var read = RandomAccess.Read(_file, bytes, offset);
            if (read == 0)
            {
                throw new EngineException(EngineError.InvalidModelFolder, $"{Path}: the file ended inside tensor '{tensor.Name}'.", tensor.Name);
            }

            bytes = bytes[read..];
            offset += read;
        }
    }
}
