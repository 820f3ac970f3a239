namespace ProxyTune.Checkpoints.Formats;

/// <summary>Where one tensor lies in a safetensors file.</summary>
/// <param name="DType">As in the header: F32, F16, BF16, I64, ...</param>
/// <param name="Shape">Empty for a scalar.</param>
/// <param name="Offset">Offset of the first byte from the start of the file.</param>
/// <param name="Length">In bytes.</param>
public sealed record SafetensorsTensor(string Name, string DType, IReadOnlyList<int> Shape, long Offset, long Length)
{
    public long ElementCount => Shape.Aggregate(1L, (count, size) => count * size);
}
