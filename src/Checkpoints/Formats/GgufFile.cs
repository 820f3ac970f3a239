namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// A model in llama.cpp's format GGUF, version 2 or 3, in one file or in parts: metadata and named tensors, often quantised
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
/// </summary>
/// <remarks>Headers are checked as a whole when the file is opened. Tensors are read in pieces. Reading is thread-safe.</remarks>
internal sealed class GgufFile : IDisposable
{
    private readonly IReadOnlyList<GgufPart> parts;

    private GgufFile(string path, IReadOnlyList<GgufPart> parts)
    {
        (Path, this.parts) = (path, parts);
        Dictionary<string, GgufTensorInfo> tensors = [];
        foreach ((GgufPart part, GgufTensorInfo tensor) in parts.SelectMany(part => part.Header.Tensors.Values.Select(tensor => (part, tensor))))
        {
            if (!tensors.TryAdd(tensor.Name, tensor))
            {
                throw EngineException.InFile(part.Path, $"tensor '{tensor.Name}' is also in {System.IO.Path.GetFileName(parts[tensors[tensor.Name].Part].Path)}; accepted is one.", tensor.Name);
            }
        }

        Tensors = tensors;
    }

    /// <summary>Path of the only part or the first.</summary>
    public string Path { get; }

    /// <summary>Of the only part or the first.</summary>
    public GgufMetadata Metadata => parts[0].Header.Metadata;

    /// <summary>Of all parts, by name, in the order of the file.</summary>
    public IReadOnlyDictionary<string, GgufTensorInfo> Tensors { get; }

    /// <param name="path">The only part, or the first of several in one folder.</param>
    /// <exception cref="EngineException">InvalidModelFolder: no such file, a missing part, or a header that is broken or does not fit the file; names file, key or tensor, value and what is accepted.</exception>
    public static GgufFile Open(string path)
    {
        IReadOnlyList<GgufPart> parts = GgufParts.Open(path);
        try
        {
            return new(path, parts);
        }
        catch
        {
            foreach (GgufPart part in parts)
            {
                part.Dispose();
            }

            throw;
        }
    }

    /// <summary>Writes a file of one part.</summary>
    /// <param name="metadata">Values are uint, float or string.</param>
    public static void Write(string path, IReadOnlyList<(string Key, object Value)> metadata, IReadOnlyList<GgufTensor> tensors) => GgufWriter.Write(path, metadata, tensors);

    /// <summary>The tensor's elements in row-major order, dequantised; for small tensors.</summary>
    /// <exception cref="EngineException">As of <see cref="ReadPieces"/>; or more elements than an array holds.</exception>
    public float[] ReadFloat32(string name, int pairedHead = 0)
    {
        GgufTensorInfo tensor = Readable(name);
        if (tensor.ElementCount > Array.MaxLength)
        {
            throw EngineException.InFile(Path, $"tensor '{name}' has {tensor.ElementCount} elements; at most {Array.MaxLength} can be read at once.", name);
        }

        float[] values = new float[tensor.ElementCount];
        int first = 0;
        foreach (ReadOnlyMemory<float> piece in ReadPieces(name, pairedHead))
        {
            piece.CopyTo(values.AsMemory(first));
            first += piece.Length;
        }

        return values;
    }

    /// <summary>The tensor's elements in row-major order, dequantised, in pieces of whole rows; each piece is valid until the next is asked for.</summary>
    /// <param name="pairedHead">As of <see cref="ReadRows"/>.</param>
    /// <exception cref="EngineException">InvalidModelFolder: no tensor of that name, or one of a type that is not read.</exception>
    public IEnumerable<ReadOnlyMemory<float>> ReadPieces(string name, int pairedHead = 0)
    {
        GgufTensorInfo tensor = Readable(name);
        GgufLayout layout = GgufLayout.Of(tensor.Type);
        float[] piece = [];
        foreach (ReadOnlyMemory<byte> rows in ReadRows(name, pairedHead))
        {
            int elements = rows.Length / layout.Bytes * layout.Elements;
            piece = piece.Length < elements ? new float[elements] : piece;
            GgufDequantizer.Read(tensor.Type, rows.Span, piece.AsSpan(0, elements));
            yield return piece.AsMemory(0, elements);
        }
    }

    /// <summary>The tensor's bytes as the file stores them, in pieces of whole rows; each piece is valid until the next is asked for.</summary>
    /// <param name="pairedHead">
    /// Above 0: the size of a head whose rows lie in rotary pairs, as llama.cpp converts the Llama family. Rows 2i and 2i + 1 become rows i and
    /// i + size / 2, as Hugging Face has them. Rows of a vector are its elements.
    /// </param>
    /// <exception cref="EngineException">InvalidModelFolder: no tensor of that name.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> ReadRows(string name, int pairedHead = 0)
    {
        GgufTensorInfo tensor = Named(name);
        bool isVector = tensor.Shape.Count == 1 && pairedHead > 0;
        int columns = isVector ? 1 : tensor.Columns;
        long rows = tensor.ElementCount / columns;
        if (pairedHead > 0 && (pairedHead % 2 != 0 || rows % pairedHead != 0))
        {
            throw EngineException.InFile(Path, $"tensor '{name}' has {rows} rows; accepted is a multiple of the head size {pairedHead}, an even number.", name);
        }

        GgufLayout layout = GgufLayout.Of(tensor.Type);
        long rowBytes = layout.BytesOf(columns);
        int unit = Math.Max(1, pairedHead);
        long most = Math.Max(1, TensorSource.PieceOf([columns]) / columns / unit) * unit;
        if (rowBytes * unit > Array.MaxLength)
        {
            throw EngineException.InFile(Path, $"tensor '{name}' has rows of {rowBytes} bytes; at most {Array.MaxLength / unit} can be read.", name);
        }

        byte[] bytes = new byte[Math.Min(most, rows) * rowBytes];
        for (long row = 0; row < rows; row += most)
        {
            int count = (int)(Math.Min(most, rows - row) * rowBytes);
            parts[tensor.Part].Read(name, tensor.Offset + (row * rowBytes), bytes.AsSpan(0, count), (int)rowBytes, pairedHead > 0 ? HalvesOf : null);
            yield return bytes.AsMemory(0, count);
        }

        int HalvesOf(int row)
        {
            int place = row % pairedHead;
            return row - place + (place / 2) + (place % 2 * pairedHead / 2);
        }
    }

    public void Dispose()
    {
        foreach (GgufPart part in parts)
        {
            part.Dispose();
        }
    }

    /// <summary>The tensor, if its type can be dequantised.</summary>
    /// <exception cref="EngineException">As of <see cref="ReadPieces"/>.</exception>
    public GgufTensorInfo Readable(string name)
    {
        GgufTensorInfo tensor = Named(name);
        return GgufLayout.Of(tensor.Type).CanRead ? tensor : throw EngineException.InFile(parts[tensor.Part].Path, $"tensor '{name}' is {tensor.Type}; accepted are {GgufLayout.Readable}.", name);
    }

    private GgufTensorInfo Named(string name) => Tensors.TryGetValue(name, out GgufTensorInfo? tensor) ? tensor : throw EngineException.InFile(Path, $"tensor '{name}' is missing.", name);
}
