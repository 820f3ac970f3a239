using System.Buffers.Binary;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// The header of one GGUF file, version 2 or 3: metadata and the table of tensors, every number checked against the file
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
/// </summary>
internal sealed class GgufHeader
{
    private const int MaxDimensions = 4;

    // GGML_MAX_NAME.
    private const int MaxNameCharacters = 64;

    private const string AlignmentKey = "general.alignment";
    private const int UsualAlignment = 32;
    private const int MaxAlignment = 1 << 20;

    // An entry takes at least a length, a type and a byte of value; a tensor a length, a count, a type and an offset.
    private const int LeastEntryBytes = sizeof(ulong) + sizeof(uint) + 1;
    private const int LeastTensorBytes = sizeof(ulong) + sizeof(uint) + sizeof(uint) + sizeof(ulong);

    private const uint ArrayType = 9;

    private static readonly string[] ValueTypes = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64"];

    private readonly string path;
    private readonly int part;
    private readonly GgufCursor cursor;
    private readonly Dictionary<string, object> values = [];
    private readonly Dictionary<string, GgufTensorInfo> tensors = [];

    private GgufHeader(string path, int part, UnmanagedMemoryAccessor view, long length)
    {
        (this.path, this.part, cursor) = (path, part, new GgufCursor(path, view, length));
        Metadata = new(path, values);
        (ulong tensorCount, ulong valueCount) = Counts();
        ReadValues(valueCount);
        ReadTensors(tensorCount, length);
    }

    public GgufMetadata Metadata { get; }

    /// <summary>By name, in the order of the file.</summary>
    public IReadOnlyDictionary<string, GgufTensorInfo> Tensors => tensors;

    /// <param name="part">Which part of a split file it is, from 0.</param>
    /// <param name="view">The whole file.</param>
    /// <exception cref="EngineException">InvalidModelFolder: the file is no GGUF file or is broken; names the key or the tensor.</exception>
    public static GgufHeader Read(string path, int part, UnmanagedMemoryAccessor view, long length) => new(path, part, view, length);

    private (ulong Tensors, ulong Values) Counts()
    {
        byte[] magic = cursor.Array<byte>(4, "the magic number", "bytes");
        if (!magic.AsSpan().SequenceEqual("GGUF"u8))
        {
            throw cursor.Broken($"the file begins with the bytes {Convert.ToHexString(magic)}; a GGUF file begins with {Convert.ToHexString("GGUF"u8)} ('GGUF').");
        }

        uint version = cursor.Read<uint>("the version");
        if (version is not (2 or 3))
        {
            string order = BinaryPrimitives.ReverseEndianness(version) is 2 or 3 ? " (a big-endian file)" : "";
            throw cursor.Broken($"the version is {version}{order}; accepted are 2 and 3, little-endian.");
        }

        return (cursor.Read<ulong>("the number of tensors"), cursor.Read<ulong>("the number of metadata entries"));
    }

    private void ReadValues(ulong count)
    {
        cursor.Require(count, LeastEntryBytes, "the metadata", "entries");
        for (ulong i = 0; i < count; i++)
        {
            string key = cursor.Text($"the key of metadata entry {i}");
            object value = Value(cursor.Read<uint>($"the type of {key}"), key);
            if (!values.TryAdd(key, value))
            {
                throw cursor.Broken($"{key} is given twice; accepted is one value.", key);
            }
        }
    }

    private object Value(uint type, string key) => type switch
    {
        0 => cursor.Read<byte>(key),
        1 => cursor.Read<sbyte>(key),
        2 => cursor.Read<ushort>(key),
        3 => cursor.Read<short>(key),
        4 => cursor.Read<uint>(key),
        5 => cursor.Read<int>(key),
        6 => cursor.Read<float>(key),
        7 => Flag(cursor.Read<byte>(key), key),
        8 => cursor.Text(key),
        ArrayType => Items(cursor.Read<uint>($"the type of {key}"), cursor.Read<ulong>($"the length of {key}"), key),
        10 => cursor.Read<ulong>(key),
        11 => cursor.Read<long>(key),
        12 => cursor.Read<double>(key),
        _ => throw cursor.Broken($"{key} has the value type {type}; accepted are 0 to {ValueTypes.Length - 1}: {string.Join(", ", ValueTypes)}.", key),
    };

    private object Items(uint type, ulong count, string key) => type switch
    {
        0 => cursor.Array<byte>(count, key),
        1 => cursor.Array<sbyte>(count, key),
        2 => cursor.Array<ushort>(count, key),
        3 => cursor.Array<short>(count, key),
        4 => cursor.Array<uint>(count, key),
        5 => cursor.Array<int>(count, key),
        6 => cursor.Array<float>(count, key),
        7 => Array.ConvertAll(cursor.Array<byte>(count, key), value => Flag(value, key)),
        8 => cursor.Texts(count, key),
        10 => cursor.Array<ulong>(count, key),
        11 => cursor.Array<long>(count, key),
        12 => cursor.Array<double>(count, key),
        ArrayType => throw cursor.Broken($"{key} is an array of arrays; accepted are arrays of numbers, bool or strings.", key),
        _ => throw cursor.Broken($"{key} is an array of the value type {type}; accepted are 0 to {ValueTypes.Length - 1} without {ArrayType}: {string.Join(", ", ValueTypes.Where(name => name != "array"))}.", key),
    };

    private bool Flag(byte value, string key) => value <= 1 ? value == 1 : throw cursor.Broken($"{key} is a bool with the value {value}; accepted are 0 and 1.", key);

    private void ReadTensors(ulong count, long length)
    {
        int alignment = Metadata.FindInteger(AlignmentKey, 1, MaxAlignment) ?? UsualAlignment;
        if (!int.IsPow2(alignment))
        {
            throw Metadata.Wrong(AlignmentKey, $"a power of two up to {MaxAlignment}");
        }

        cursor.Require(count, LeastTensorBytes, "the table of tensors", "tensors");
        List<(GgufTensorInfo Tensor, ulong Offset)> given = [];
        for (ulong i = 0; i < count; i++)
        {
            given.Add(ReadTensor(i));
        }

        long start = (cursor.Position + alignment - 1) / alignment * alignment, data = Math.Max(0, length - start);
        foreach ((GgufTensorInfo tensor, ulong offset) in given)
        {
            if (offset % (ulong)alignment != 0)
            {
                throw cursor.Broken($"tensor '{tensor.Name}' has the offset {offset}; accepted is a multiple of {alignment}.", tensor.Name);
            }

            if (offset > (ulong)data || tensor.Length > data - (long)offset)
            {
                throw cursor.Broken($"tensor '{tensor.Name}' takes {tensor.Length} bytes from the offset {offset}; the file has {data} bytes of tensor data.", tensor.Name);
            }

            if (!tensors.TryAdd(tensor.Name, tensor with { Offset = start + (long)offset }))
            {
                throw cursor.Broken($"tensor '{tensor.Name}' is given twice; accepted is one.", tensor.Name);
            }
        }

        GgufTensorInfo? before = null;
        foreach (GgufTensorInfo tensor in tensors.Values.OrderBy(tensor => tensor.Offset))
        {
            if (before is not null && tensor.Offset < before.Offset + before.Length)
            {
                throw cursor.Broken($"tensor '{tensor.Name}' starts at the offset {tensor.Offset - start}, inside tensor '{before.Name}', which ends at {before.Offset + before.Length - start}.", tensor.Name);
            }

            before = tensor;
        }
    }

    private (GgufTensorInfo Tensor, ulong Offset) ReadTensor(ulong index)
    {
        string name = cursor.Text($"the name of tensor {index}");
        if (name.Length is 0 or > MaxNameCharacters)
        {
            throw cursor.Broken($"the name of tensor {index} has {name.Length} characters; accepted are 1 to {MaxNameCharacters}.");
        }

        uint dimensions = cursor.Read<uint>($"the number of dimensions of tensor '{name}'");
        if (dimensions is 0 or > MaxDimensions)
        {
            throw cursor.Broken($"tensor '{name}' has {dimensions} dimensions; accepted are 1 to {MaxDimensions}.", name);
        }

        ulong[] sizes = cursor.Array<ulong>(dimensions, $"the shape of tensor '{name}'");
        GgufType type = (GgufType)cursor.Read<uint>($"the type of tensor '{name}'");
        ulong offset = cursor.Read<ulong>($"the offset of tensor '{name}'");
        string shape = string.Join(", ", sizes.Reverse());
        if (sizes.Any(size => size is 0 or > int.MaxValue))
        {
            throw cursor.Broken($"tensor '{name}' is [{shape}]; accepted are sizes from 1 to {int.MaxValue}.", name);
        }

        if (!GgufLayout.IsKnown(type))
        {
            throw cursor.Broken($"tensor '{name}' has the type {(uint)type}; accepted are {GgufLayout.Readable}.", name);
        }

        // Int128: a forged shape must not wrap round to the right number of bytes.
        GgufLayout layout = GgufLayout.Of(type);
        Int128 elements = sizes.Aggregate((Int128)1, (product, size) => Int128.Min(product * size, long.MaxValue));
        Int128 bytes = elements / layout.Elements * layout.Bytes;
        return elements == long.MaxValue || bytes > long.MaxValue ? throw cursor.Broken($"tensor '{name}' is [{shape}], more elements than any file holds.", name)
            : sizes[0] % (ulong)layout.Elements != 0 ? throw cursor.Broken($"tensor '{name}' of {type} is [{shape}]; accepted are rows of a multiple of {layout.Elements} elements.", name)
            : (new(name, type, [.. sizes.Reverse().Select(size => (int)size)], part, 0, (long)bytes), offset);
    }
}
