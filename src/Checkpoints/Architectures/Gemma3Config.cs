using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// config.json of Gemma 3 (Gemma3ForCausalLM in transformers): Gemma 2 with a norm of each head's queries and keys, five layers with a window for
/// each layer without one, and another base of rotary positions in layers with a window.
/// </summary>
internal static class Gemma3Config
{
    public const string ModelType = "gemma3_text";

    /// <summary>The type of a checkpoint with a vision tower. Its text part is read.</summary>
    public const string WithVision = "gemma3";

    private const string Text = "text_config", Pattern = "sliding_window_pattern", OwnPattern = "_sliding_window_pattern";
    private const int UsualPattern = 6;
    private const double UsualTheta = 1_000_000, UsualWindowTheta = 10_000;

    // Of the class in transformers, since published files leave out what is equal to it.
    private static readonly (string, double)[] Usual =
    [
        (VocabularySize, 262_208), (HiddenSize, 2304), (IntermediateSize, 9216), (Layers, 26), (Heads, 8), (KeyValueHeads, 4), (HeadSize, 256), (ContextLength, 131_072),
        (Window, 4096), (EndIds, 1), (BeginId, 2),
    ];

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults([.. Usual.Select(usual => (usual.Item1, (JsonNode?)(int)usual.Item2)), (RopeFields.Theta, UsualTheta)]);
        int pattern = config.FindInteger(OwnPattern, 1) ?? config.FindInteger(Pattern, 1) ?? UsualPattern;
        DecoderSpec spec = Gemma2Config.Gemma(config, ModelType, LayerTypes, Pattern, OwnPattern, RopeFields.WindowTheta).WithLayers(config, config.Integer(Window, 1), layer => (layer + 1) % pattern != 0);
        double theta = config.FindPositive(RopeFields.WindowTheta) ?? UsualWindowTheta;
        return spec with { HeadNorm = HeadNorm.EachHead, WindowRope = spec.WindowRope ?? new(theta) };
    }

    /// <summary>Reads the text part of a checkpoint with a vision tower.</summary>
    public static DecoderSpec ReadText(JsonFields config) => Read(TextPart(config));

    /// <summary>The config.json of the text part alone; null for a checkpoint without a vision tower.</summary>
    public static string? FindTextPart(JsonFields config) =>
        config.FindText("model_type") == WithVision ? TextPart(config).Json.GetRawText() : null;

    private static JsonFields TextPart(JsonFields config)
    {
        JsonObject text = JsonObject.Create(config.Object(Text).Json)!;
        text["model_type"] = ModelType;
        text["architectures"] = new JsonArray("Gemma3ForCausalLM");

        // The whole checkpoint's fields count where they are given. The other ones are about images.
        foreach (string name in (string[])[EndIds, BeginId, PadId, TiedHead])
        {
            if (config.Find(name) is { } value)
            {
                text[name] = JsonNode.Parse(value.GetRawText());
            }
        }

        return new(config.File, JsonSerializer.SerializeToElement(text), $"{config.Parent}{Text}.");
    }
}
