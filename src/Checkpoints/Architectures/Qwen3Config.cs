using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of Qwen3 (Qwen3ForCausalLM in transformers): Qwen2 with a norm of each head's queries and keys, and without their biases.</summary>
internal static class Qwen3Config
{
    public const string ModelType = "qwen3";

    private const int UsualKeyValueHeads = 32, UsualHeadSize = 128;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((KeyValueHeads, UsualKeyValueHeads), (HeadSize, UsualHeadSize));
        return Qwen2Config.Windows(CommonFields.Of(config, ModelType, AttentionBias, UsesWindow, Window, Qwen2Config.FirstWindow, LayerTypes).WithBiases(config), config) with
        {
            HeadNorm = HeadNorm.EachHead,
        };
    }
}
