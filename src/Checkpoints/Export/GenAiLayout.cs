using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Export;

/// <summary>genai_config.json, by which onnxruntime-genai knows a folder.</summary>
internal static class GenAiLayout
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <param name="headSize">Of the graph's cache.</param>
    public static void WriteConfig(string folder, string graphFile, CheckpointConfig config, int headSize)
    {
        JsonObject json = new()
        {
            ["model"] = new JsonObject
            {
                ["type"] = "llama",
                ["bos_token_id"] = config.BeginId ?? config.EndIds[0],
                ["eos_token_id"] = config.EndIds is [var only] ? only : new JsonArray([.. config.EndIds.Select(id => (JsonNode)id)]),
                ["pad_token_id"] = config.EndIds[0],
                ["vocab_size"] = config.VocabularySize,
                ["context_length"] = config.ContextLength,
                ["decoder"] = new JsonObject
                {
                    ["session_options"] = new JsonObject { ["provider_options"] = new JsonArray() },
                    ["filename"] = graphFile,
                    ["head_size"] = headSize,
                    ["hidden_size"] = config.HiddenSize,
                    ["num_attention_heads"] = config.Heads,
                    ["num_hidden_layers"] = config.Layers,
                    ["num_key_value_heads"] = config.KeyValueHeads,
                    ["inputs"] = new JsonObject
                    {
                        ["input_ids"] = "input_ids",
                        ["attention_mask"] = "attention_mask",
                        ["past_key_names"] = "past_key_values.%d.key",
                        ["past_value_names"] = "past_key_values.%d.value",
                    },
                    ["outputs"] = new JsonObject
                    {
                        ["logits"] = "logits",
                        ["present_key_names"] = "present.%d.key",
                        ["present_value_names"] = "present.%d.value",
                    },
                },
            },
            ["search"] = new JsonObject
            {
                ["do_sample"] = false,
                ["max_length"] = config.ContextLength,
                ["past_present_share_buffer"] = true,
            },
        };
        File.WriteAllText(Path.Combine(folder, GenAiConfig.FileName), json.ToJsonString(Indented) + "\n");
    }
}
