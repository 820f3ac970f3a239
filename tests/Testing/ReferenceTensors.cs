using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace ProxyTune.Testing;

/// <summary>A safetensors file of reference data: tensors of float32 and int64 by name, read apart from the code that is tested.</summary>
public sealed class ReferenceTensors
{
    private readonly byte[] file;
    private readonly JsonElement header;
    private readonly int start;

    public ReferenceTensors(string path)
    {
        file = File.ReadAllBytes(path);
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        header = JsonElement.Parse(file.AsSpan(8, length));
        start = 8 + length;
    }

    public IEnumerable<string> Names => header.EnumerateObject().Select(tensor => tensor.Name).Where(name => name != "__metadata__");

    /// <summary>The values of a tensor of integers.</summary>
    public int[] Integers(string name) => header.GetProperty(name).GetProperty("dtype").GetString() == "I64"
        ? [.. MemoryMarshal.Cast<byte, long>(Bytes(name)).ToArray().Select(value => (int)value)]
        : [.. MemoryMarshal.Cast<byte, float>(Bytes(name)).ToArray().Select(value => (int)value)];

    /// <summary>The rows of a tensor of float32 with two dimensions.</summary>
    public float[][] Rows(string name) => [.. Floats(name).Chunk(header.GetProperty(name).GetProperty("shape")[1].GetInt32())];

    public float[] Floats(string name) => MemoryMarshal.Cast<byte, float>(Bytes(name)).ToArray();

    private ReadOnlySpan<byte> Bytes(string name)
    {
        JsonElement place = header.GetProperty(name).GetProperty("data_offsets");
        return file.AsSpan(start + place[0].GetInt32(), place[1].GetInt32() - place[0].GetInt32());
    }
}
