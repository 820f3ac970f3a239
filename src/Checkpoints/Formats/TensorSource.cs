namespace ProxyTune.Checkpoints.Formats;

/// <summary>A float32 tensor that is produced in pieces, so that no tensor is in memory as a whole.</summary>
/// <param name="Shape">Rows first.</param>
/// <param name="Pieces">Gives the elements in row-major order, each time from the beginning. A piece is valid until the next one, and holds whole rows.</param>
public sealed record TensorSource(string Name, IReadOnlyList<int> Shape, Func<IEnumerable<ReadOnlyMemory<float>>> Pieces)
{
    // 16 MiB.
    private const int PieceElements = 1 << 22;

    /// <summary>The number of elements; a tensor without dimensions has one.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);

    /// <summary>A tensor in memory.</summary>
    /// <exception cref="ArgumentException">Shape and data differ in size.</exception>
    public static TensorSource Of(string name, IReadOnlyList<int> shape, float[] data)
    {
        TensorSource source = new(name, shape, () => [data]);
        return source.Count == data.Length
            ? source
            : throw new ArgumentException($"'{name}': shape [{string.Join(", ", shape)}] does not hold {data.Length} elements.", nameof(data));
    }

    /// <summary>A tensor of a file. The file must stay open.</summary>
    public static TensorSource Of(SafetensorsFile file, string name)
    {
        IReadOnlyList<int> shape = file.Tensors[name].Shape;
        return new(name, shape, () => file.ReadPieces(name, PieceOf(shape)));
    }

    /// <summary>The size of a piece of whole rows.</summary>
    public static int PieceOf(IReadOnlyList<int> shape)
    {
        int columns = shape.Count == 0 ? 1 : Math.Max(1, shape[^1]);
        return Math.Max(1, PieceElements / columns) * columns;
    }
}
