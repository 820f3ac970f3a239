using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of the Mistral family (MistralForCausalLM in transformers): Llama with a window in all layers, or in none.</summary>
internal static class MistralConfig
{
    public const string ModelType = "mistral";

    private const int UsualKeyValueHeads = 8, UsualWindow = 4096;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((KeyValueHeads, UsualKeyValueHeads), (Window, UsualWindow));
        return CommonFields.Of(config, ModelType, Window).WithLayers(config, config.FindWindow(), _ => true);
    }
}
