using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Training;

/// <summary>Sizes of a Llama-family decoder, as in Hugging Face's config.json (LlamaForCausalLM).</summary>
/// <param name="HiddenSize">Width d of the residual stream.</param>
/// <param name="IntermediateSize">Width of the feed-forward layer.</param>
/// <param name="NumKeyValueHeads">Divides <paramref name="NumAttentionHeads"/>.</param>
/// <param name="HeadDim">Even. 0 in a file means hidden_size / num_attention_heads.</param>
/// <param name="VocabSize">Rows of the embedding.</param>
/// <param name="MaxPositionEmbeddings">Longest context, in tokens.</param>
/// <param name="TieWordEmbeddings">Whether the output layer is the embedding.</param>
public sealed record LlamaConfig(
    int HiddenSize,
    int IntermediateSize,
    int NumHiddenLayers,
    int NumAttentionHeads,
    int NumKeyValueHeads,
    int VocabSize,
    int MaxPositionEmbeddings,
    int HeadDim = 0,
    double RopeTheta = 10000,
    double RmsNormEps = 1e-5,
    bool TieWordEmbeddings = true,
    int? BosTokenId = null,
    int? EosTokenId = null,
    int? PadTokenId = null)
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public int HeadSize => HeadDim == 0 ? HiddenSize / NumAttentionHeads : HeadDim;

    /// <exception cref="TrainingException">The file is missing or broken, or a size does not fit; names file, field and value.</exception>
    public static LlamaConfig Load(string path)
    {
        try
        {
            JsonObject node = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            if ((string?)node["model_type"] is { } type and not "llama")
            {
                throw new TrainingException($"{path}: model_type is '{type}'; only 'llama' is supported.");
            }

            foreach (string? absent in node.Where(field => field.Value is null).Select(field => field.Key).ToArray())
            {
                node.Remove(absent);
            }

            // Some models end on several tokens; generation_config.json, which is copied along, keeps the others.
            if (node["eos_token_id"] is JsonArray ends)
            {
                node["eos_token_id"] = ends[0]?.DeepClone();
            }

            // Newer files keep the base of the angles in an object.
            if (node["rope_parameters"] is JsonObject rope)
            {
                node["rope_theta"] = rope["rope_theta"]?.DeepClone() ?? node["rope_theta"]?.DeepClone();
            }

            if (node["rope_scaling"] is not null || node["rope_parameters"]?["rope_type"] is { } kind && (string?)kind != "default"
                || (bool?)node["attention_bias"] == true || (bool?)node["mlp_bias"] == true)
            {
                throw new TrainingException($"{path}: scaled rotary positions and biases are not supported; rope_scaling, attention_bias and mlp_bias must be absent, null or false.");
            }

            // What Hugging Face assumes for a field that the file leaves out.
            node["tie_word_embeddings"] ??= false;
            node["rms_norm_eps"] ??= 1e-6;
            node["num_key_value_heads"] ??= node["num_attention_heads"]?.DeepClone();
            LlamaConfig config = node.Deserialize<LlamaConfig>(Json)!;
            config.Check(path);
            return config with { HeadDim = config.HeadSize };
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException or FormatException)
        {
            throw new TrainingException($"{path}: {error.Message}", error);
        }
    }

    public void Save(string path)
    {
        JsonObject node = JsonSerializer.SerializeToNode(this with { HeadDim = HeadSize }, Json)!.AsObject();
        node.Remove("head_size");
        node["architectures"] = new JsonArray("LlamaForCausalLM");
        node["model_type"] = "llama";
        node["hidden_act"] = "silu";
        node["attention_bias"] = false;
        node["mlp_bias"] = false;
        node["torch_dtype"] = "float32";
        File.WriteAllText(path, node.ToJsonString(Json) + "\n");
    }

    /// <exception cref="TrainingException">A size that no model can have; names <paramref name="file"/>, field, value and accepted range.</exception>
    public void Check(string file)
    {
        void Require(bool holds, string field, object value, string accepted)
        {
            if (!holds)
            {
                throw new TrainingException($"{file}: {field} is {value}; accepted is {accepted}.");
            }
        }

        foreach ((string? field, int value) in new[]
        {
            ("hidden_size", HiddenSize), ("intermediate_size", IntermediateSize), ("num_hidden_layers", NumHiddenLayers), ("num_attention_heads", NumAttentionHeads),
            ("num_key_value_heads", NumKeyValueHeads), ("vocab_size", VocabSize), ("max_position_embeddings", MaxPositionEmbeddings),
        })
        {
            Require(value is >= 1 and <= 1 << 22, field, value, "1 to 4194304");
        }

        Require(NumAttentionHeads % NumKeyValueHeads == 0, "num_key_value_heads", NumKeyValueHeads, $"a divisor of num_attention_heads ({NumAttentionHeads})");
        Require(HeadDim >= 0 && HeadSize >= 2 && HeadSize % 2 == 0, "head_dim", HeadSize, "an even number from 2");
        Require(RopeTheta > 1, "rope_theta", RopeTheta, "above 1");
        Require(RmsNormEps is > 0 and < 1, "rms_norm_eps", RmsNormEps, "above 0 and below 1");
    }
}
