namespace ProxyTune.Checkpoints.Formats;

/// <param name="Shape">Rows first, as in the checkpoint; the file has it the other way round.</param>
/// <param name="Read">Gives the elements when they are written, so that one tensor is in memory at a time.</param>
internal sealed record GgufTensor(string Name, int[] Shape, GgufType Type, Func<float[]> Read)
{
    public long Bytes => Shape.Aggregate(1L, (count, size) => count * size) * (Type == GgufType.F32 ? sizeof(float) : GgufBlocks.BytesOf(Type)) / (Type == GgufType.F32 ? 1 : GgufBlocks.Size);
}
