namespace ProxyTune.Checkpoints.Formats;

/// <param name="Shape">Rows first, as in the checkpoint. GGUF lists the sizes in reverse.</param>
/// <param name="Read">Gives the elements in pieces of whole rows when the tensor is written.</param>
internal sealed record GgufTensor(string Name, int[] Shape, GgufType Type, Func<IEnumerable<ReadOnlyMemory<float>>> Read)
{
    public long Bytes => Shape.Aggregate(1L, (count, size) => count * size) * (Type == GgufType.F32 ? sizeof(float) : GgufBlocks.BytesOf(Type)) / (Type == GgufType.F32 ? 1 : GgufBlocks.Size);
}
