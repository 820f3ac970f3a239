namespace ProxyTune.Checkpoints.Formats;

/// <summary>Names of the files in model folders and patch folders.</summary>
internal static class FileNames
{
    public const string Config = "config.json";
    public const string GenerationConfig = "generation_config.json";
    public const string Weights = "model.safetensors";
    public const string WeightsIndex = "model.safetensors.index.json";
    public const string Lineage = "lineage.json";

    public const string GenAiConfig = "genai_config.json";
    public const string Graph = "model.onnx";

    public const string Tokenizer = "tokenizer.json";
    public const string TokenizerConfig = "tokenizer_config.json";
    public const string SpecialTokens = "special_tokens_map.json";
    public const string ChatTemplate = "chat_template.jinja";

    public const string AdapterConfig = "adapter_config.json";
    public const string AdapterWeights = "adapter_model.safetensors";
    public const string Manifest = "manifest.json";

    /// <summary>Lists the served models. It stands beside the model folders.</summary>
    public const string Catalog = "catalog.json";
}
