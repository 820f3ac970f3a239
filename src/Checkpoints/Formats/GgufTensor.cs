namespace ProxyTune.Checkpoints.Formats;

/// <param name="Shape">Rows first, as in the checkpoint. GGUF lists the sizes in reverse.</param>
/// <param name="Read">Called when the tensor is written, so that only one tensor is in memory at a time.</param>
internal sealed record GgufTensor(string Name, int[] Shape, GgufType Type, Func<float[]> Read)
{
    public long Bytes => Shape.Aggregate(1L, (count, size) => count * size) * (Type == GgufType.F32 ? sizeof(float) : GgufBlocks.BytesOf(Type)) / (Type == GgufType.F32 ? 1 : GgufBlocks.Size);
}
