using System.Numerics.Tensors;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// A low-rank update of a model's weights (LoRA, Hu et al. 2021, arXiv 2106.09685): W becomes W + (alpha / r) B A. Read from a folder in
/// PEFT's layout: adapter_config.json and adapter_model.safetensors.
/// </summary>
public sealed class LowRankPatch
{
    private readonly Dictionary<string, LowRankPair> pairs;

    private LowRankPatch(string name, string path, double scale, Dictionary<string, LowRankPair> pairs)
    {
        (Name, Path, Scale, this.pairs) = (name, path, scale, pairs);
    }

    /// <summary>The name of the patch in messages. The default is the folder's name.</summary>
    public string Name { get; }

    /// <summary>The factor alpha / r of modules that no pattern matches.</summary>
    public double Scale { get; }

    /// <summary>The names of the changed weights in the checkpoint of the base.</summary>
    public IReadOnlyCollection<string> Targets => pairs.Keys;

    /// <summary>The path of the file with the weights, for messages.</summary>
    internal string Path { get; }

    /// <summary>Reads a folder and runs all checks that need no model.</summary>
    /// <param name="folder">A folder in PEFT's layout.</param>
    /// <param name="name">The name in messages; null for the folder's name.</param>
    /// <exception cref="EngineException">InvalidModelFolder: a file is missing or broken, the adapter is not LoRA, A has no B, a rank is wrong, or a value is not finite. The message names the file and the tensor or field.</exception>
    public static LowRankPatch Read(string folder, string? name = null)
    {
        PatchConfig config = PatchConfig.Read(folder);
        using SafetensorsFile file = SafetensorsFile.Open(System.IO.Path.Combine(folder, FileNames.AdapterWeights));
        Dictionary<string, LowRankPair> pairs = [];
        Dictionary<string, string> names = Names(file);
        foreach (string target in names.Keys.Select(name => AdapterTensors.ModuleOf(name)!).Distinct().Order(StringComparer.Ordinal))
        {
            int[] a = Shape(target, AdapterTensors.A(target)), b = Shape(target, AdapterTensors.B(target));
            int rank = config.RankOf(target);
            if (a[0] != rank || b[1] != rank)
            {
                throw Wrong(file.Path, target, $"lora_A is [{string.Join(", ", a)}] and lora_B [{string.Join(", ", b)}]; r = {rank} asks for [{rank}, in] and [out, {rank}].");
            }

            pairs[DecoderTensors.WeightOf(target)] = new(rank, Finite(file, names[AdapterTensors.A(target)]), Finite(file, names[AdapterTensors.B(target)])) { Scale = config.ScaleOf(target) };
        }

        return pairs.Count > 0
            ? new(name ?? new DirectoryInfo(folder).Name, file.Path, config.Scale, pairs)
            : throw Wrong(file.Path, "", "holds no tensors, so it changes nothing.");

        int[] Shape(string target, string name) =>
            !names.TryGetValue(name, out string? stored) ? throw Wrong(file.Path, target, $"there is no '{name}'.")
            : file.Tensors[stored].Shape is [_, _] shape ? [.. shape]
            : throw Wrong(file.Path, target, $"'{stored}' is [{string.Join(", ", file.Tensors[stored].Shape)}]; accepted are two dimensions.");
    }

    internal long Bytes => sizeof(float) * pairs.Values.Sum(pair => (long)pair.A.Length + pair.B.Length);

    internal LowRankPair? Pair(string target) => pairs.GetValueOrDefault(target);

    /// <summary>The names of the tensors in the file by their names without the name of the adapter.</summary>
    private static Dictionary<string, string> Names(SafetensorsFile file)
    {
        Dictionary<string, string> names = [];
        foreach (string stored in file.Tensors.Keys.Order(StringComparer.Ordinal))
        {
            string plain = AdapterTensors.Plain(stored) ?? throw Wrong(file.Path, stored, $"is neither '{AdapterTensors.A("NAME")}' nor '{AdapterTensors.B("NAME")}'.");
            if (!names.TryAdd(plain, stored))
            {
                throw Wrong(file.Path, stored, $"stands beside '{names[plain]}'; accepted is one adapter in a file.");
            }
        }

        return names;
    }

    private static float[] Finite(SafetensorsFile file, string name)
    {
        float[] values = file.ReadFloat32(name);
        return TensorPrimitives.IsFiniteAll<float>(values) ? values : throw Wrong(file.Path, name, "holds NaN or infinity.");
    }

    private static EngineException Wrong(string path, string target, string what) =>
        EngineException.InFile(path, target.Length > 0 ? $"'{target}': {what}" : what);
}

/// <param name="A">The matrix A [Rank, in], row-major.</param>
/// <param name="B">The matrix B [out, Rank], row-major.</param>
internal sealed record LowRankPair(int Rank, float[] A, float[] B)
{
    /// <summary>The factor alpha / r of B A.</summary>
    public required double Scale { get; init; }

    public int Inputs => A.Length / Rank;

    public int Outputs => B.Length / Rank;
}
