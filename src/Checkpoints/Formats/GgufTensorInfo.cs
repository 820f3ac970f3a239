namespace ProxyTune.Checkpoints.Formats;

/// <summary>Where a tensor of a GGUF file lies.</summary>
/// <param name="Shape">Rows first, as Hugging Face counts. The file lists the sizes in reverse.</param>
/// <param name="Part">Which part of a split file holds it, from 0.</param>
/// <param name="Offset">Offset of the first byte from the start of that part.</param>
/// <param name="Length">In bytes.</param>
internal sealed record GgufTensorInfo(string Name, GgufType Type, IReadOnlyList<int> Shape, int Part, long Offset, long Length)
{
    public long ElementCount => Shape.Aggregate(1L, (count, size) => count * size);

    /// <summary>Elements of a row.</summary>
    public int Columns => Shape[^1];
}
