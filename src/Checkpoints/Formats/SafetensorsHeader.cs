using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>The JSON header: read with every number checked against the file, and written.</summary>
internal static class SafetensorsHeader
{
    private const int LengthBytes = sizeof(ulong);

    // The format's own limit.
    private const ulong MaxBytes = 100_000_000;

    // The format asks for 8; data that starts on a cache line suits the runtimes that map it.
    private const int Alignment = 64;

    private const string Metadata = "__metadata__";

    private static readonly Dictionary<string, int> ElementBytes = new()
    {
        ["BOOL"] = 1,
        ["U8"] = 1,
        ["I8"] = 1,
        ["F8_E4M3"] = 1,
        ["F8_E5M2"] = 1,
        ["I16"] = 2,
        ["U16"] = 2,
        ["F16"] = 2,
        ["BF16"] = 2,
        ["I32"] = 4,
        ["U32"] = 4,
        ["F32"] = 4,
        ["I64"] = 8,
        ["U64"] = 8,
        ["F64"] = 8,
    };

    public static Dictionary<string, SafetensorsTensor> Read(string path, SafeFileHandle file)
    {
        long size = RandomAccess.GetLength(file);
        Span<byte> prefix = stackalloc byte[LengthBytes];
        if (size < LengthBytes || RandomAccess.Read(file, prefix, 0) < LengthBytes)
        {
            throw Broken(path, $"{size} bytes are too few for a safetensors file.");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxBytes || (long)length > size - LengthBytes)
        {
            throw Broken(path, $"the header claims {length} bytes; the file has {size}, the format allows {MaxBytes}.");
        }

        byte[] json = new byte[length];
        if (RandomAccess.Read(file, json, LengthBytes) < json.Length)
        {
            throw Broken(path, "the file ended inside the header.");
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Tensors(path, document.RootElement, LengthBytes + (long)length, size);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw Broken(path, $"the header is no safetensors header: {error.Message}", inner: error);
        }
    }

    public static byte[] Format(IReadOnlyList<TensorSource> tensors)
    {
        MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteStartObject(Metadata);

            // transformers loads only files that say for which framework they are.
            json.WriteString("format", "pt");
            json.WriteEndObject();
            long offset = 0L;
            foreach (TensorSource tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", "F32");
                WriteNumbers(json, "shape", tensor.Shape.Select(d => (long)d));
                WriteNumbers(json, "data_offsets", [offset, offset += tensor.Count * sizeof(float)]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        if (tensors.GroupBy(t => t.Name).FirstOrDefault(g => g.Count() > 1 || g.Key == Metadata) is { } wrong)
        {
            throw new ArgumentException($"'{wrong.Key}' is given twice or reserved.", nameof(tensors));
        }

        while ((LengthBytes + stream.Length) % Alignment != 0)
        {
            stream.WriteByte((byte)' ');
        }

        return stream.ToArray();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }

    private static Dictionary<string, SafetensorsTensor> Tensors(string path, JsonElement header, long dataStart, long fileSize)
    {
        SafetensorsTensor[] tensors = header.EnumerateObject().Where(p => p.Name != Metadata).Select(p => Tensor(path, p, dataStart, fileSize)).ToArray();

        // As in Hugging Face's reader, the tensors fill the data exactly: no overlap, no hole, nothing behind the last.
        long end = dataStart;
        foreach (SafetensorsTensor tensor in tensors.OrderBy(t => t.Offset).ThenBy(t => t.Length))
        {
            if (tensor.Offset != end)
            {
                throw Broken(path, $"tensor '{tensor.Name}' starts at {tensor.Offset - dataStart}, the one before it ends at {end - dataStart}.", tensor.Name);
            }

            end += tensor.Length;
        }

        return end == fileSize
            ? tensors.ToDictionary(t => t.Name)
            : throw Broken(path, $"the tensors end at byte {end}, the file at {fileSize}.");
    }

    private static SafetensorsTensor Tensor(string path, JsonProperty property, long dataStart, long fileSize)
    {
        (string? name, JsonElement value) = (property.Name, property.Value);
        string dtype = value.GetProperty("dtype").GetString() ?? "null";
        if (!ElementBytes.TryGetValue(dtype, out int bytes))
        {
            throw Broken(path, $"tensor '{name}' has dtype {dtype}; known are {string.Join(", ", ElementBytes.Keys)}.", name);
        }

        int[] shape = value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt32()).ToArray();
        long[] offsets = value.GetProperty("data_offsets").EnumerateArray().Select(o => o.GetInt64()).ToArray();
        if (offsets is not [var begin, var end] || begin < 0 || end < begin || end > fileSize - dataStart)
        {
            throw Broken(path, $"tensor '{name}' has data_offsets [{string.Join(", ", offsets)}] in {fileSize - dataStart} bytes of data.", name);
        }

        // Int128: a forged shape must not wrap round to the right number of bytes.
        Int128 needed = shape.Aggregate((Int128)bytes, (product, size) => Int128.Min(product * size, long.MaxValue));
        return needed == end - begin && shape.All(size => size >= 0)
            ? new SafetensorsTensor(name, dtype, shape, dataStart + begin, end - begin)
            : throw Broken(path, $"tensor '{name}' of {dtype} [{string.Join(", ", shape)}] takes {needed} bytes, its data_offsets give {end - begin}.", name);
    }

    private static EngineException Broken(string path, string what, string? tensor = null, Exception? inner = null) =>
        EngineException.InFile(path, what, tensor, inner);
}
