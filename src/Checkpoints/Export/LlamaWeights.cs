using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Where the graph's weights lie: ranges of the checkpoint's own file, so that they exist once.</summary>
/// <remarks>
/// GroupQueryAttention takes head sizes that are multiples of 16. Other models' attention weights are written a second time, with zeros in
/// each half of a head, to a file beside the graph.
/// </remarks>
internal sealed class LlamaWeights
{
    private readonly CheckpointConfig config;
    private readonly SafetensorsFile file;
    private readonly string fileName;
    private readonly string paddedFileName;
    private readonly HeadPadding heads;

    public LlamaWeights(CheckpointConfig config, SafetensorsFile file, string paddedFileName)
    {
        (this.config, this.file, fileName, this.paddedFileName) = (config, file, Path.GetFileName(file.Path), paddedFileName);
        heads = HeadPadding.Of(config.HeadSize);
    }

    /// <summary>Of the graph and its cache.</summary>
    public int HeadSize => heads.Padded;

    private bool IsPadded => !heads.IsNone;

    private int QueryKeyValueRows => (config.Heads + (2 * config.KeyValueHeads)) * HeadSize;

    public WeightRange Of(string tensor) => new(fileName, file.Tensors[tensor].Offset, [.. file.Tensors[tensor].Shape]);

    public WeightRange QueryKeyValue(int layer)
    {
        int[] shape = [QueryKeyValueRows, config.HiddenSize];
        return IsPadded
            ? new(paddedFileName, PaddedOffset(layer), shape)
            : new(fileName, file.Tensors[LlamaTensors.Of(layer, "self_attn.q_proj")].Offset, shape);
    }

    public WeightRange Output(int layer) => IsPadded
        ? new(paddedFileName, PaddedOffset(layer) + QueryKeyValue(layer).Length, [config.HiddenSize, config.Heads * HeadSize])
        : Of(LlamaTensors.Of(layer, "self_attn.o_proj"));

    public WeightRange GateUp(int layer) =>
        new(fileName, file.Tensors[LlamaTensors.Of(layer, "mlp.gate_proj")].Offset, [2 * config.IntermediateSize, config.HiddenSize]);

    /// <summary>For each layer the padded packed q k v and o; nothing where heads need no padding.</summary>
    public IEnumerable<float[]> Padded() => !IsPadded ? [] : Enumerable.Range(0, config.Layers).SelectMany(layer => new[]
    {
        [.. PadRows(layer, "self_attn.q_proj", config.Heads), .. PadRows(layer, "self_attn.k_proj", config.KeyValueHeads), .. PadRows(layer, "self_attn.v_proj", config.KeyValueHeads)],
        PadColumns(layer),
    });

    private long PaddedOffset(int layer) =>
        layer * (long)sizeof(float) * config.HiddenSize * (QueryKeyValueRows + (config.Heads * HeadSize));

    private float[] PadRows(int layer, string part, int heads)
    {
        float[] source = file.ReadFloat32(LlamaTensors.Of(layer, part));
        float[] padded = new float[heads * HeadSize * config.HiddenSize];
        for (int row = 0; row < heads * config.HeadSize; row++)
        {
            source.AsSpan(row * config.HiddenSize, config.HiddenSize).CopyTo(padded.AsSpan(this.heads.Index(row) * config.HiddenSize));
        }

        return padded;
    }

    private float[] PadColumns(int layer)
    {
        float[] source = file.ReadFloat32(LlamaTensors.Of(layer, "self_attn.o_proj"));
        (int columns, int paddedColumns) = (config.Heads * config.HeadSize, config.Heads * HeadSize);
        float[] padded = new float[config.HiddenSize * paddedColumns];
        for (int i = 0; i < source.Length; i++)
        {
            padded[(i / columns * paddedColumns) + heads.Index(i % columns)] = source[i];
        }

        return padded;
    }
}
