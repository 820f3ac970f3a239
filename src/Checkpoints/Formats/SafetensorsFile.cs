using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// A file of named tensors in Hugging Face's safetensors format: 8 bytes of header length, a JSON header, then the raw little-endian data.
/// </summary>
/// <remarks>The header is checked as a whole before any tensor is allocated. Reading is thread-safe.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle file;

    private SafetensorsFile(string path, SafeFileHandle file, IReadOnlyDictionary<string, SafetensorsTensor> tensors)
    {
        Path = path;
        this.file = file;
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
            throw EngineException.InFile(path, "no such file.");
        }

        SafeFileHandle file = File.OpenHandle(path);
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
        SafetensorsTensor tensor = Floats(name);
        if (tensor.ElementCount > Array.MaxLength)
        {
            throw EngineException.InFile(Path, $"tensor '{name}' has {tensor.ElementCount} elements; at most {Array.MaxLength} can be read at once.", name);
        }

        float[] values = new float[tensor.ElementCount];
        Read(tensor, 0, values);
        return values;
    }

    /// <summary>The same elements in pieces, for tensors of any size; each piece is valid until the next is asked for.</summary>
    /// <param name="elements">Of a piece at most.</param>
    /// <exception cref="EngineException">As of <see cref="ReadFloat32"/>.</exception>
    public IEnumerable<ReadOnlyMemory<float>> ReadPieces(string name, int elements)
    {
        SafetensorsTensor tensor = Floats(name);
        float[] piece = new float[Math.Min(elements, tensor.ElementCount)];
        for (long first = 0L; first < tensor.ElementCount; first += piece.Length)
        {
            Memory<float> values = piece.AsMemory(0, (int)Math.Min(piece.Length, tensor.ElementCount - first));
            Read(tensor, first, values.Span);
            yield return values;
        }
    }

    /// <summary>Writes float32 tensors in the given order, one directly after the other. The file appears whole or not at all.</summary>
    /// <exception cref="ArgumentException">A name is given twice, or a shape and its data differ in size.</exception>
    public static void Write(string path, IEnumerable<(string Name, int[] Shape, float[] Data)> tensors) =>
        Write(path, tensors.Select(tensor => TensorSource.Of(tensor.Name, tensor.Shape, tensor.Data)));

    /// <summary>Writes float32 tensors in the given order, piece by piece. The file appears whole or not at all.</summary>
    /// <exception cref="ArgumentException">A name is given twice, or the pieces of a tensor are not as many elements as its shape says.</exception>
    public static void Write(string path, IEnumerable<TensorSource> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        TensorSource[] all = tensors.ToArray();
        byte[] header = SafetensorsHeader.Format(all);
        string partial = path + "." + Guid.NewGuid().ToString("N")[..8] + ".partial";
        try
        {
            using (FileStream stream = File.Create(partial, 1 << 16))
            {
                Span<byte> length = stackalloc byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
                stream.Write(length);
                stream.Write(header);
                foreach (TensorSource tensor in all)
                {
                    long written = 0;
                    foreach (ReadOnlyMemory<float> piece in tensor.Pieces())
                    {
                        stream.Write(MemoryMarshal.AsBytes(piece.Span));
                        written += piece.Length;
                    }

                    if (written != tensor.Count)
                    {
                        throw new ArgumentException($"'{tensor.Name}': {written} elements came for the shape [{string.Join(", ", tensor.Shape)}].", nameof(tensors));
                    }
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

    public void Dispose() => file.Dispose();

    /// <exception cref="EngineException">As of <see cref="ReadFloat32"/>, without reading.</exception>
    internal void RequireFloats(string name) => Floats(name);

    private SafetensorsTensor Floats(string name) =>
        !Tensors.TryGetValue(name, out SafetensorsTensor? tensor) ? throw EngineException.InFile(Path, $"no tensor '{name}'.", name)
        : tensor.DType is "F32" or "F16" or "BF16" ? tensor
        : throw EngineException.InFile(Path, $"tensor '{name}' is {tensor.DType}; F32, F16 or BF16 can be read.", name);

    /// <param name="first">Index of the first element that is read.</param>
    private void Read(SafetensorsTensor tensor, long first, Span<float> values)
    {
        if (tensor.DType == "F32")
        {
            ReadAll(tensor, first * sizeof(float), MemoryMarshal.AsBytes(values));
            return;
        }

        ushort[] halves = new ushort[values.Length];
        ReadAll(tensor, first * sizeof(ushort), MemoryMarshal.AsBytes(halves.AsSpan()));
        if (tensor.DType == "F16")
        {
            TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<ushort, Half>(halves), values);
            return;
        }

        for (int i = 0; i < values.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }
    }

    private void ReadAll(SafetensorsTensor tensor, long first, Span<byte> bytes)
    {
        long offset = tensor.Offset + first;
        while (bytes.Length > 0)
        {
            int read = RandomAccess.Read(file, bytes, offset);
            if (read == 0)
            {
                throw EngineException.InFile(Path, $"the file ended inside tensor '{tensor.Name}'.", tensor.Name);
            }

            bytes = bytes[read..];
            offset += read;
        }
    }
}
