using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The families of decoders, by model_type of config.json.</summary>
internal static class Families
{
    private const string ModelType = "model_type";
    private const string Architectures = "architectures";

    private static readonly Dictionary<string, Func<JsonFields, DecoderSpec>> Readers = new()
    {
        [LlamaConfig.ModelType] = LlamaConfig.Read,
        [MistralConfig.ModelType] = MistralConfig.Read,
        [Qwen2Config.ModelType] = Qwen2Config.Read,
        [Qwen3Config.ModelType] = Qwen3Config.Read,
        [SmolLm3Config.ModelType] = SmolLm3Config.Read,
        [Phi3Config.ModelType] = Phi3Config.Read,
        [Gemma2Config.ModelType] = Gemma2Config.Read,
        [Gemma3Config.ModelType] = Gemma3Config.Read,
        [Gemma3Config.WithVision] = Gemma3Config.ReadText,
        [Olmo2Config.ModelType] = Olmo2Config.Read,
        [GraniteConfig.ModelType] = GraniteConfig.Read,
    };

    // Parts of the names of families that are known not to be decoders of this kind, and what they need.
    private static readonly (string Part, string Missing)[] Missing =
    [
        ("moe", "a mixture of experts"), ("mixtral", "a mixture of experts"), ("deepseek", "a mixture of experts and latent attention"),
        ("dbrx", "a mixture of experts"), ("gpt_oss", "a mixture of experts and attention sinks"), ("llama4", "a mixture of experts and chunked attention"),
        ("qwen3_next", "recurrent layers and a mixture of experts"), ("qwen3_5", "recurrent layers"), ("mamba", "recurrent layers"), ("jamba", "recurrent layers and a mixture of experts"), ("rwkv", "recurrent layers"),
        ("bamba", "recurrent layers"), ("zamba", "recurrent layers"), ("hybrid", "recurrent layers"), ("recurrent", "recurrent layers"),
        ("falcon_h1", "recurrent layers"), ("nemotron_h", "recurrent layers"), ("lfm2", "convolutional layers"), ("gemma3n", "keys and values that layers share"),
        ("gemma4", "keys and values that layers share"), ("bert", "attention to later tokens"), ("t5", "an encoder"), ("bart", "an encoder"), ("whisper", "an encoder"),
        ("_vl", "images"), ("llava", "images"),
    ];

    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static DecoderSpec Read(JsonFields config)
    {
        string family = config.FindText(ModelType) ?? LlamaConfig.ModelType;
        if (!Readers.TryGetValue(family, out Func<JsonFields, DecoderSpec>? read))
        {
            string known = string.Join(", ", Readers.Keys.Order(StringComparer.Ordinal));
            throw Array.Find(Missing, one => family.Contains(one.Part, StringComparison.OrdinalIgnoreCase)) is { Missing: { } missing }
                ? config.Wrong(ModelType, $"one of {known}: {Name(config)} needs {missing}, which the exporter does not have")
                : config.Wrong(ModelType, $"one of {known}: {Name(config)} is not known");
        }

        if (config.Find("quantization_config") is not null || config.Find("compression_config") is not null)
        {
            throw config.Wrong(config.Find("quantization_config") is null ? "compression_config" : "quantization_config", "null: the weights must be float32, float16 or bfloat16");
        }

        return Name(config) is { } name && !name.EndsWith("ForCausalLM", StringComparison.Ordinal) && !name.EndsWith("ForConditionalGeneration", StringComparison.Ordinal)
            ? throw config.Wrong(Architectures, $"an architecture that gives logits of tokens, such as LlamaForCausalLM")
            : read(config);
    }

    /// <summary>The name of the checkpoint's class in transformers; null if the file has none.</summary>
    private static string? Name(JsonFields config) =>
        config.Find(Architectures) is not { } names ? null
        : names.ValueKind == System.Text.Json.JsonValueKind.Array && names.GetArrayLength() == 1 && names[0].ValueKind == System.Text.Json.JsonValueKind.String ? names[0].GetString()
        : throw config.Wrong(Architectures, "a list of one name");
}
