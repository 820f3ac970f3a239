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
    private readonly CheckpointConfig _config;
    private readonly SafetensorsFile _file;
    private readonly string _fileName;
    private readonly string _paddedFileName;
    private readonly HeadPadding _heads;

    public LlamaWeights(CheckpointConfig config, SafetensorsFile file, string paddedFileName)
    {
        (_config, _file, _fileName, _paddedFileName) = (config, file, Path.GetFileName(file.Path), paddedFileName);
        _heads = HeadPadding.Of(config.HeadSize);
    }

    /// <summary>Of the graph and its cache.</summary>
    public int HeadSize => _heads.Padded;

    private bool IsPadded => !_heads.IsNone;

    private int QueryKeyValueRows => (_config.Heads + (2 * _config.KeyValueHeads)) * HeadSize;

    public WeightRange Of(string tensor) => new(_fileName, _file.Tensors[tensor].Offset, [.. _file.Tensors[tensor].Shape]);

    public WeightRange QueryKeyValue(int layer)
    {
        int[] shape = [QueryKeyValueRows, _config.HiddenSize];
        return IsPadded
            ? new(_paddedFileName, PaddedOffset(layer), shape)
            : new(_fileName, _file.Tensors[LlamaTensors.Of(layer, "self_attn.q_proj")].Offset, shape);
    }

    public WeightRange Output(int layer) => IsPadded
        ? new(_paddedFileName, PaddedOffset(layer) + QueryKeyValue(layer).Length, [_config.HiddenSize, _config.Heads * HeadSize])
        : Of(LlamaTensors.Of(layer, "self_attn.o_proj"));

    public WeightRange GateUp(int layer) =>
        new(_fileName, _file.Tensors[LlamaTensors.Of(layer, "mlp.gate_proj")].Offset, [2 * _config.IntermediateSize, _config.HiddenSize]);

    /// <summary>For each layer the padded packed q k v and o; nothing where heads need no padding.</summary>
    public IEnumerable<float[]> Padded() => !IsPadded ? [] : Enumerable.Range(0, _config.Layers).SelectMany(layer => new[]
    {
        [.. PadRows(layer, "self_attn.q_proj", _config.Heads), .. PadRows(layer, "self_attn.k_proj", _config.KeyValueHeads), .. PadRows(layer, "self_attn.v_proj", _config.KeyValueHeads)],
        PadColumns(layer),
    });

    private long PaddedOffset(int layer) =>
        layer * (long)sizeof(float) * _config.HiddenSize * (QueryKeyValueRows + (_config.Heads * HeadSize));

    private float[] PadRows(int layer, string part, int heads)
    {
        var source = _file.ReadFloat32(LlamaTensors.Of(layer, part));
        var padded = new float[heads * HeadSize * _config.HiddenSize];
        for (var row = 0; row < heads * _config.HeadSize; row++)
        {
            source.AsSpan(row * _config.HiddenSize, _config.HiddenSize).CopyTo(padded.AsSpan(_heads.Index(row) * _config.HiddenSize));
        }

        return padded;
    }

    private float[] PadColumns(int layer)
    {
        var source = _file.ReadFloat32(LlamaTensors.Of(layer, "self_attn.o_proj"));
        var (columns, paddedColumns) = (_config.Heads * _config.HeadSize, _config.Heads * HeadSize);
        var padded = new float[_config.HiddenSize * paddedColumns];
        for (var i = 0; i < source.Length; i++)
        {
            padded[(i / columns * paddedColumns) + _heads.Index(i % columns)] = source[i];
        }

        return padded;
    }
}
