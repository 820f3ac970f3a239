using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of Qwen2 and Qwen2.5 (Qwen2ForCausalLM in transformers): Llama with biases of queries, keys and values, and windows in the upper layers.</summary>
internal static class Qwen2Config
{
    public const string ModelType = "qwen2";

    /// <summary>The first layer with a window, if windows are used.</summary>
    public const string FirstWindow = "max_window_layers";

    private const int UsualKeyValueHeads = 32;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((KeyValueHeads, UsualKeyValueHeads));
        return Windows(CommonFields.Of(config, ModelType, UsesWindow, Window, FirstWindow, LayerTypes), config) with { QueryKeyValueBias = true };
    }

    /// <summary>The windows of Qwen2 and Qwen3.</summary>
    public static DecoderSpec Windows(DecoderSpec spec, JsonFields config)
    {
        const int UsualWindow = 4096, UsualFirst = 28;
        config = config.WithDefaults((Window, UsualWindow), (FirstWindow, UsualFirst));
        bool isUsed = config.FindFlag(UsesWindow) ?? false;
        int first = config.Integer(FirstWindow, 0);
        return spec.WithLayers(config, isUsed ? config.FindWindow() : null, layer => layer >= first);
    }
}
