using System.Text.Json;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>A model in a temporary folder with random weights, a byte-level tokenizer and a chat template. The exporter writes it like any other model.</summary>
public sealed class TinyModel : IDisposable
{
    private TinyModel(string folder) => Folder = folder;

    public string Folder { get; }

    /// <summary>Creates a model in a temporary folder. It takes milliseconds for the default sizes.</summary>
    public static TinyModel Create(TinyModelOptions? options = null)
    {
        TinyModel model = new(Directory.CreateTempSubdirectory("tiny-").FullName);
        Write(model.Folder, options);
        return model;
    }

    /// <summary>Writes a model into a given folder, such as one of a models folder.</summary>
    public static void Write(string folder, TinyModelOptions? options = null)
    {
        WriteCheckpoint(folder, options);
        CheckpointExporter.Export(folder, folder);
    }

    /// <summary>Writes only the Hugging Face checkpoint: config.json, model.safetensors and the tokenizer.</summary>
    public static void WriteCheckpoint(string folder, TinyModelOptions? options = null)
    {
        options ??= new TinyModelOptions();
        Directory.CreateDirectory(folder);
        TinyTokenizer.WriteByteLevel(folder, options.TokenizerSize ?? Math.Min(options.Vocabulary, TinyTokenizer.Size + 676), options.TokenizerShift);
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new
        {
            architectures = new[] { "LlamaForCausalLM" },
            model_type = "llama",
            hidden_act = "silu",
            vocab_size = options.Vocabulary,
            hidden_size = options.Hidden,
            intermediate_size = options.Intermediate,
            num_hidden_layers = options.Layers,
            num_attention_heads = options.Heads,
            num_key_value_heads = options.KeyValueHeads,
            head_dim = options.HeadSize,
            max_position_embeddings = options.Context,
            rope_theta = options.RopeTheta,
            rms_norm_eps = 1e-5,
            tie_word_embeddings = options.Tied,
            eos_token_id = options.EndIds,
        }));
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), Weights(options));
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static IEnumerable<(string Name, int[] Shape, float[] Data)> Weights(TinyModelOptions options)
    {
        Random random = new(options.Seed);
        (int hidden, int queries, int keys) = (options.Hidden, options.Heads * options.HeadSize, options.KeyValueHeads * options.HeadSize);
        (string, int[], float[]) Matrix(string name, int rows, int columns) => (name, [rows, columns], Normal(random, rows * columns, 0, 1 / Math.Sqrt(columns)));
        (string, int[], float[]) Norm(string name) => (name, [hidden], Normal(random, hidden, 1, 0.1));

        // The order is alphabetical as in many published files, which differs from the exporter's order.
        if (!options.Tied)
        {
            yield return Matrix("lm_head.weight", options.Vocabulary, hidden);
        }

        yield return Matrix("model.embed_tokens.weight", options.Vocabulary, hidden);
        for (int layer = 0; layer < options.Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            yield return Norm(prefix + "input_layernorm.weight");
            yield return Matrix(prefix + "mlp.down_proj.weight", hidden, options.Intermediate);
            yield return Matrix(prefix + "mlp.gate_proj.weight", options.Intermediate, hidden);
            yield return Matrix(prefix + "mlp.up_proj.weight", options.Intermediate, hidden);
            yield return Norm(prefix + "post_attention_layernorm.weight");
            yield return Matrix(prefix + "self_attn.k_proj.weight", keys, hidden);
            yield return Matrix(prefix + "self_attn.o_proj.weight", hidden, queries);
            yield return Matrix(prefix + "self_attn.q_proj.weight", queries, hidden);
            yield return Matrix(prefix + "self_attn.v_proj.weight", keys, hidden);
        }

        yield return Norm("model.norm.weight");
    }

    // The Box-Muller transform is used because the framework has no normal distribution.
    private static float[] Normal(Random random, int count, double mean, double deviation)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)(mean + (deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())));
        }

        return values;
    }
}
