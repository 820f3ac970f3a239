using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Checkpoints.Export;

/// <summary>The places of the graph's weights. They are ranges of the checkpoint's file, so that there is one copy of the weights.</summary>
/// <remarks>
/// GroupQueryAttention takes head sizes that are multiples of 16. For other head sizes a file beside the graph has a second copy of the attention
/// weights, with zeros in each half of a head.
/// </remarks>
internal sealed class LlamaWeights
{
    private readonly DecoderSpec spec;
    private readonly SafetensorsFile file;
    private readonly string fileName;
    private readonly string paddedFileName;
    private readonly HeadPadding heads;

    public LlamaWeights(DecoderSpec spec, SafetensorsFile file, string paddedFileName)
    {
        (this.spec, this.file, fileName, this.paddedFileName) = (spec, file, Path.GetFileName(file.Path), paddedFileName);
        heads = HeadPadding.Of(spec.HeadSize);
    }

    /// <summary>The head size of the graph and its KV cache.</summary>
    public int HeadSize => heads.Padded;

    private bool IsPadded => !heads.IsNone;

    private int QueryKeyValueRows => (spec.Heads + (2 * spec.KeyValueHeads)) * HeadSize;

    public WeightRange Of(string tensor) => new(fileName, file.Tensors[tensor].Offset, [.. file.Tensors[tensor].Shape]);

    public WeightRange QueryKeyValue(int layer)
    {
        int[] shape = [QueryKeyValueRows, spec.HiddenSize];
        return IsPadded
            ? new(paddedFileName, PaddedOffset(layer), shape)
            : new(fileName, file.Tensors[LlamaTensors.Of(layer, LlamaTensors.Query)].Offset, shape);
    }

    public WeightRange Output(int layer) => IsPadded
        ? new(paddedFileName, PaddedOffset(layer) + QueryKeyValue(layer).Length, [spec.HiddenSize, spec.Heads * HeadSize])
        : Of(LlamaTensors.Of(layer, LlamaTensors.Output));

    public WeightRange GateUp(int layer) =>
        new(fileName, file.Tensors[LlamaTensors.Of(layer, LlamaTensors.Gate)].Offset, [2 * spec.IntermediateSize, spec.HiddenSize]);

    /// <summary>The padded weights of each layer: packed q, k and v, then o. It is empty if heads need no padding.</summary>
    public IEnumerable<float[]> Padded() => !IsPadded ? [] : Enumerable.Range(0, spec.Layers).SelectMany(layer => new[]
    {
        [.. PadRows(layer, LlamaTensors.Query, spec.Heads), .. PadRows(layer, LlamaTensors.Key, spec.KeyValueHeads), .. PadRows(layer, LlamaTensors.Value, spec.KeyValueHeads)],
        PadColumns(layer),
    });

    private long PaddedOffset(int layer) =>
        layer * (long)sizeof(float) * spec.HiddenSize * (QueryKeyValueRows + (spec.Heads * HeadSize));

    private float[] PadRows(int layer, string part, int heads)
    {
        float[] source = file.ReadFloat32(LlamaTensors.Of(layer, part));
        float[] padded = new float[heads * HeadSize * spec.HiddenSize];
        for (int row = 0; row < heads * spec.HeadSize; row++)
        {
            source.AsSpan(row * spec.HiddenSize, spec.HiddenSize).CopyTo(padded.AsSpan(this.heads.Index(row) * spec.HiddenSize));
        }

        return padded;
    }

    private float[] PadColumns(int layer)
    {
        float[] source = file.ReadFloat32(LlamaTensors.Of(layer, LlamaTensors.Output));
        (int columns, int paddedColumns) = (spec.Heads * spec.HeadSize, spec.Heads * HeadSize);
        float[] padded = new float[spec.HiddenSize * paddedColumns];
        for (int i = 0; i < source.Length; i++)
        {
            padded[(i / columns * paddedColumns) + heads.Index(i % columns)] = source[i];
        }

        return padded;
    }
}
