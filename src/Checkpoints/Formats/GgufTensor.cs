namespace ProxyTune.Checkpoints.Formats;

/// <summary>A tensor to write.</summary>
/// <param name="Shape">Rows first, as in the checkpoint. GGUF lists the sizes in reverse.</param>
/// <param name="Read">Gives the elements in pieces of whole rows when the tensor is written.</param>
internal sealed record GgufTensor(string Name, int[] Shape, GgufType Type, Func<IEnumerable<ReadOnlyMemory<float>>> Read)
{
    public long Bytes => GgufLayout.Of(Type).BytesOf(Shape.Aggregate(1L, (count, size) => count * size));
}
