using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>Writes a low-rank update of a <see cref="TinyModel"/> in PEFT's layout with random weights, and merges it in plain loops.</summary>
public static class TinyPatch
{
    public const int Rank = 3;
    public const double Alpha = 6;
    public const string ConfigFile = "adapter_config.json";
    public const string WeightsFile = "adapter_model.safetensors";

    /// <summary>All linear nodes that a patch may target.</summary>
    public static readonly string[] Modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <param name="modules">Linear nodes to change in every layer, such as q_proj.</param>
    public static void Write(string folder, string modelFolder, int seed, params string[] modules) => WriteRank(folder, modelFolder, seed, Rank, modules);

    public static void WriteRank(string folder, string modelFolder, int seed, int rank, params string[] modules)
    {
        Directory.CreateDirectory(folder);
        WriteConfig(folder, config => config["r"] = rank);
        Random random = new(seed);
        using SafetensorsFile model = SafetensorsFile.Open(Path.Combine(modelFolder, "model.safetensors"));
        SafetensorsFile.Write(Path.Combine(folder, WeightsFile), model.Tensors.Values
            .Where(tensor => modules.Any(module => tensor.Name.EndsWith($".{module}.weight", StringComparison.Ordinal)))
            .SelectMany(tensor => new (string, int[], float[])[]
            {
                (Key(tensor.Name, "lora_A"), [rank, tensor.Shape[1]], Uniform(random, rank * tensor.Shape[1])),
                (Key(tensor.Name, "lora_B"), [tensor.Shape[0], rank], Uniform(random, rank * tensor.Shape[0])),
            }));
    }

    public static void WriteConfig(string folder, Action<JsonObject> change)
    {
        JsonObject config = new()
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["r"] = Rank,
            ["lora_alpha"] = Alpha,
            ["bias"] = "none",
            ["modules_to_save"] = null,
            ["rank_pattern"] = new JsonObject(),
            ["target_modules"] = new JsonArray("q_proj"),
        };
        change(config);
        File.WriteAllText(Path.Combine(folder, ConfigFile), config.ToJsonString(JsonSerializerOptions.Default));
    }

    public static string Key(string tensor, string side) => $"base_model.model.{tensor[..^".weight".Length]}.{side}.weight";

    /// <summary>Writes a checkpoint for <see cref="SlowLlama"/> to which each update is added as a dense matrix in double precision.</summary>
    public static void WriteDense(string target, string modelFolder, params (string Folder, double Weight)[] patches)
    {
        Directory.CreateDirectory(target);
        File.Copy(Path.Combine(modelFolder, "config.json"), Path.Combine(target, "config.json"));
        using SafetensorsFile model = SafetensorsFile.Open(Path.Combine(modelFolder, "model.safetensors"));
        SafetensorsFile.Write(Path.Combine(target, "model.safetensors"), model.Tensors.Values.Select(tensor =>
        {
            double[] weights = [.. model.ReadFloat32(tensor.Name).Select(weight => (double)weight)];
            foreach ((string? folder, double weight) in patches)
            {
                Add(weights, folder, tensor.Name, weight * Alpha);
            }

            return (tensor.Name, tensor.Shape.ToArray(), weights.Select(value => (float)value).ToArray());
        }));
    }

    private static void Add(double[] weights, string patch, string tensor, double factor)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(patch, WeightsFile));
        if (!file.Tensors.ContainsKey(Key(tensor, "lora_A")))
        {
            return;
        }

        (float[]? a, float[]? b) = (file.ReadFloat32(Key(tensor, "lora_A")), file.ReadFloat32(Key(tensor, "lora_B")));
        (int rank, int inputs) = (file.Tensors[Key(tensor, "lora_A")].Shape[0], file.Tensors[Key(tensor, "lora_A")].Shape[1]);
        for (int i = 0; i < weights.Length; i++)
        {
            for (int r = 0; r < rank; r++)
            {
                weights[i] += factor / rank * b[(i / inputs * rank) + r] * a[(r * inputs) + (i % inputs)];
            }
        }
    }

    private static float[] Uniform(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * 0.4f)];
}
