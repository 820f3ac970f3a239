using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of the Llama family (LlamaForCausalLM in transformers): RMSNorm, rotary positions, grouped-query attention, SwiGLU.</summary>
internal static class LlamaConfig
{
    public const string ModelType = "llama";

    /// <summary>The fields that say what a plain decoder is made of.</summary>
    public static readonly IReadOnlySet<string> Names = new HashSet<string>
    {
        VocabularySize, HiddenSize, IntermediateSize, Layers, Heads, KeyValueHeads, HeadSize, ContextLength, RopeFields.Theta, NormEpsilon, TiedHead, BeginId, EndIds, PadId,
    };

    /// <summary>A field that is left out has the default of transformers.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static DecoderSpec Read(JsonFields config) => CommonFields.Of(config, ModelType, AttentionBias, FeedForwardBias).WithBiases(config);

    /// <summary>What <see cref="Read"/> reads.</summary>
    public static JsonObject ToJson(DecoderSpec spec) => new()
    {
        [VocabularySize] = spec.VocabularySize,
        [HiddenSize] = spec.HiddenSize,
        [IntermediateSize] = spec.IntermediateSize,
        [Layers] = spec.Layers,
        [Heads] = spec.Heads,
        [KeyValueHeads] = spec.KeyValueHeads,
        [HeadSize] = spec.HeadSize,
        [ContextLength] = spec.ContextLength,
        [RopeFields.Theta] = spec.RopeTheta,
        [NormEpsilon] = spec.NormEpsilon,
        [TiedHead] = spec.TiedHead,
        [BeginId] = spec.BeginId,
        [EndIds] = spec.EndIds switch { [] => null, [var only] => only, var ends => new JsonArray([.. ends.Select(id => (JsonNode)id)]) },
        [PadId] = spec.PadId,
    };

    /// <summary>Writes config.json of float32 weights.</summary>
    public static void Write(string folder, DecoderSpec spec)
    {
        JsonObject json = ToJson(spec);
        json["architectures"] = new JsonArray("LlamaForCausalLM");
        json["model_type"] = ModelType;
        json[HiddenActivation] = "silu";
        json[AttentionBias] = false;
        json[FeedForwardBias] = false;
        json["torch_dtype"] = "float32";
        File.WriteAllText(Path.Combine(folder, FileNames.Config), json.ToJsonString(JsonFile.Indented) + "\n");
    }
}
