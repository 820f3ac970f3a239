using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of SmolLM3 (SmolLM3ForCausalLM in transformers): Llama with layers whose queries and keys do not rotate.</summary>
internal static class SmolLm3Config
{
    public const string ModelType = "smollm3";

    private const string Rotates = "no_rope_layers", Interval = "no_rope_layer_interval";
    private const int UsualInterval = 4, UsualKeyValueHeads = 4;
    private const double UsualTheta = 2_000_000;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((KeyValueHeads, UsualKeyValueHeads), (RopeFields.Theta, UsualTheta), (TiedHead, true));
        DecoderSpec spec = CommonFields.Of(config, ModelType, AttentionBias, FeedForwardBias, UsesWindow, Window, LayerTypes, Rotates, Interval, Qwen2Config.FirstWindow).WithBiases(config);
        bool[] rotates = RotatingLayers(config, spec.Layers);
        bool isUsed = config.FindFlag(UsesWindow) ?? false;
        return spec.WithLayers(config, isUsed ? config.FindWindow() : null, layer => !rotates[layer], layer => rotates[layer]);
    }

    // 1 is a layer with rotary positions, in spite of the field's name.
    private static bool[] RotatingLayers(JsonFields config, int layers)
    {
        if (config.Find(Rotates) is not { } list)
        {
            int interval = config.FindInteger(Interval, 1) ?? UsualInterval;
            return [.. Enumerable.Range(1, layers).Select(layer => layer % interval != 0)];
        }

        const string Accepted = "a list with 0 or 1 for each layer";
        return list.ValueKind == JsonValueKind.Array && list.GetArrayLength() == layers
            ? [.. list.EnumerateArray().Select(layer => layer.ToString() switch { "1" => true, "0" => false, _ => throw config.Wrong(Rotates, Accepted) })]
            : throw config.Wrong(Rotates, Accepted);
    }
}
