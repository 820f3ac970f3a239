using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>Writes a small checkpoint of any family with random weights, also for norms and biases.</summary>
public static class TinyCheckpoint
{
    public const int Vocabulary = 90;

    /// <param name="fields">Fields of config.json as JSON; they replace those of a small model.</param>
    public static void Write(string folder, string fields, int seed = 1)
    {
        Directory.CreateDirectory(folder);
        JsonObject config = new()
        {
            ["vocab_size"] = Vocabulary,
            ["hidden_size"] = 32,
            ["intermediate_size"] = 40,
            ["num_hidden_layers"] = 3,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 2,
            ["max_position_embeddings"] = 128,
            ["eos_token_id"] = 0,
        };
        foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject())
        {
            config[name] = value?.DeepClone();
        }

        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        DecoderSpec spec = DecoderSpec.Read(folder);
        Random random = new(seed);
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), DecoderTensors.InOrder(spec).Reverse().Select(tensor => (tensor.Name, tensor.Shape, Data(random, tensor.Name, tensor.Shape, spec))));
    }

    private static float[] Data(Random random, string name, int[] shape, DecoderSpec spec)
    {
        bool isNorm = name.Contains("norm", StringComparison.Ordinal);
        (double middle, double range) = isNorm ? (spec.NormsAddOne ? 0 : 1, 0.5) : shape.Length == 1 ? (0, 1) : (0, 3 / Math.Sqrt(shape[^1]));
        return [.. Enumerable.Range(0, shape.Aggregate((a, b) => a * b)).Select(_ => (float)(middle + (range * (random.NextDouble() - 0.5) * 2)))];
    }
}
