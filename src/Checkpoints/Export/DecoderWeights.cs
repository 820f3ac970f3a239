using System.Runtime.InteropServices;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Checkpoints.Export;

/// <summary>The places of the graph's weights. They are ranges of the checkpoint's file, so that there is one copy of the weights.</summary>
/// <remarks>
/// Weights that differ from the checkpoint's are derived, and stand in a file beside the graph: attention weights if the graph's heads have another
/// layout (<see cref="HeadLayout"/>), and norms that multiply by 1 + weight.
/// </remarks>
internal sealed class DecoderWeights
{
    private readonly DecoderSpec spec;
    private readonly SafetensorsFile file;
    private readonly string fileName;
    private readonly string derivedFileName;
    private readonly List<Func<float[]>> derived = [];
    private long derivedBytes;

    public DecoderWeights(DecoderSpec spec, SafetensorsFile file, string derivedFileName)
    {
        (this.spec, this.file, fileName, this.derivedFileName) = (spec, file, Path.GetFileName(file.Path), derivedFileName);
        Heads = HeadLayout.Of(spec);
    }

    /// <summary>The layout of heads in the graph.</summary>
    public HeadLayout Heads { get; }

    /// <summary>The head size of the graph and its KV cache.</summary>
    public int HeadSize => Heads.Padded;

    public WeightRange Of(string tensor) => new(fileName, file.Tensors[tensor].Offset, [.. file.Tensors[tensor].Shape]);

    /// <summary>The factors of a norm of the residual stream.</summary>
    public WeightRange Norm(string tensor) => spec.NormsAddOne ? Derive([spec.HiddenSize], () => Factors(tensor)) : Of(tensor);

    /// <summary>Query, key and value: [(heads + 2 key heads) * head size, hidden].</summary>
    public WeightRange QueryKeyValue(int layer) => Packed(Projections, part => DecoderTensors.Of(layer, part), spec.HiddenSize);

    public WeightRange QueryKeyValueBias(int layer) => Packed(Projections, part => DecoderTensors.BiasOf(layer, part), columns: 1) with { Shape = [QueryKeyValueRows] };

    public WeightRange Output(int layer)
    {
        string tensor = DecoderTensors.Of(layer, DecoderTensors.Output);
        return Heads.IsSame ? Of(tensor) : Derive([spec.HiddenSize, spec.Heads * HeadSize], () => MoveColumns(tensor));
    }

    public WeightRange GateUp(int layer) =>
        new(fileName, file.Tensors[DecoderTensors.Of(layer, FirstOfGateUp)].Offset, [2 * spec.IntermediateSize, spec.HiddenSize]);

    public WeightRange GateUpBias(int layer) => new(fileName, file.Tensors[DecoderTensors.BiasOf(layer, FirstOfGateUp)].Offset, [2 * spec.IntermediateSize]);

    /// <summary>The factors of the norm of queries or keys.</summary>
    /// <remarks>
    /// The mean over a padded head divides by more dimensions than the model's. So the factors have the root of the ratio, and the graph's epsilon has
    /// the ratio (<see cref="HeadNormEpsilon"/>).
    /// </remarks>
    public WeightRange HeadNorm(int layer, string part, int heads)
    {
        string tensor = DecoderTensors.Of(layer, part);
        int counted = spec.HeadNorm == Architectures.HeadNorm.AllHeads ? heads : 1;
        return Heads.IsSame && !spec.NormsAddOne
            ? Of(tensor)
            : Derive([counted * HeadSize], () => MoveRows(Scaled(Factors(tensor), Math.Sqrt((double)Heads.Size / Heads.Padded)), columns: 1));
    }

    public double HeadNormEpsilon => spec.NormEpsilon * Heads.Size / Heads.Padded;

    /// <summary>Writes the file of the weights that were derived; no file if there are none.</summary>
    public void WriteDerived(string folder)
    {
        string path = Path.Combine(folder, derivedFileName);
        File.Delete(path);
        foreach (Func<float[]> weight in derived)
        {
            using FileStream stream = new(path, FileMode.Append);
            stream.Write(MemoryMarshal.AsBytes(weight().AsSpan()));
        }
    }

    private int QueryKeyValueRows => (spec.Heads + (2 * spec.KeyValueHeads)) * HeadSize;

    private string FirstOfGateUp => spec.FusedProjections ? DecoderTensors.GateUp : DecoderTensors.Gate;

    private string[] Projections => spec.FusedProjections ? [DecoderTensors.QueryKeyValue] : [DecoderTensors.Query, DecoderTensors.Key, DecoderTensors.Value];

    private WeightRange Packed(string[] parts, Func<string, string> name, int columns)
    {
        int[] shape = [QueryKeyValueRows, columns];
        return Heads.IsSame
            ? new(fileName, file.Tensors[name(parts[0])].Offset, shape)
            : Derive(shape, () => [.. parts.SelectMany(part => MoveRows(file.ReadFloat32(name(part)), columns))]);
    }

    private WeightRange Derive(int[] shape, Func<float[]> weight)
    {
        WeightRange range = new(derivedFileName, derivedBytes, shape);
        derived.Add(weight);
        derivedBytes += range.Length;
        return range;
    }

    private float[] Factors(string tensor)
    {
        float[] factors = file.ReadFloat32(tensor);
        return spec.NormsAddOne ? [.. factors.Select(factor => 1 + factor)] : factors;
    }

    private static float[] Scaled(float[] values, double factor) => factor == 1 ? values : [.. values.Select(value => (float)(value * factor))];

    /// <summary>Moves rows of heads to their places in the graph.</summary>
    private float[] MoveRows(float[] source, int columns)
    {
        int rows = source.Length / columns;
        float[] moved = new float[rows / spec.HeadSize * HeadSize * columns];
        for (int row = 0; row < rows; row++)
        {
            source.AsSpan(row * columns, columns).CopyTo(moved.AsSpan(Heads.Index(row) * columns));
        }

        return moved;
    }

    private float[] MoveColumns(string tensor)
    {
        float[] source = file.ReadFloat32(tensor);
        (int columns, int movedColumns) = (spec.Heads * spec.HeadSize, spec.Heads * HeadSize);
        float[] moved = new float[spec.HiddenSize * movedColumns];
        for (int i = 0; i < source.Length; i++)
        {
            moved[(i / columns * movedColumns) + Heads.Index(i % columns)] = source[i];
        }

        return moved;
    }
}
