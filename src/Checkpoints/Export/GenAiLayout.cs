using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Writes genai_config.json, which onnxruntime-genai needs to load a folder.</summary>
internal static class GenAiLayout
{
    /// <param name="headSize">The head size of the graph's KV cache.</param>
    public static void WriteConfig(string folder, string graphFile, DecoderSpec spec, int headSize)
    {
        JsonObject json = new()
        {
            ["model"] = new JsonObject
            {
                ["type"] = "llama",
                ["bos_token_id"] = spec.BeginId ?? spec.EndIds[0],
                ["eos_token_id"] = spec.EndIds is [var only] ? only : new JsonArray([.. spec.EndIds.Select(id => (JsonNode)id)]),
                ["pad_token_id"] = spec.EndIds[0],
                ["vocab_size"] = spec.VocabularySize,
                ["context_length"] = spec.ContextLength,
                ["decoder"] = new JsonObject
                {
                    ["session_options"] = new JsonObject { ["provider_options"] = new JsonArray() },
                    ["filename"] = graphFile,
                    ["head_size"] = headSize,
                    ["hidden_size"] = spec.HiddenSize,
                    ["num_attention_heads"] = spec.Heads,
                    ["num_hidden_layers"] = spec.Layers,
                    ["num_key_value_heads"] = spec.KeyValueHeads,
                    ["inputs"] = Inputs(spec),
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
                ["max_length"] = spec.ContextLength,
                ["past_present_share_buffer"] = true,
            },
        };
        File.WriteAllText(Path.Combine(folder, FileNames.GenAiConfig), json.ToJsonString(JsonFile.Indented) + "\n");
    }

    private static JsonObject Inputs(DecoderSpec spec)
    {
        JsonObject inputs = new()
        {
            ["input_ids"] = "input_ids",
            ["attention_mask"] = "attention_mask",
            ["past_key_names"] = "past_key_values.%d.key",
            ["past_value_names"] = "past_key_values.%d.value",
        };
        if (spec.LongRope is not null)
        {
            inputs["position_ids"] = "position_ids";
        }

        return inputs;
    }
}
