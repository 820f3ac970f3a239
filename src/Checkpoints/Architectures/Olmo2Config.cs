using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of OLMo 2 (Olmo2ForCausalLM in transformers): norms stand behind attention and feed-forward network, and over all queries and all keys.</summary>
internal static class Olmo2Config
{
    public const string ModelType = "olmo2";

    private const double UsualEpsilon = 1e-5;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((NormEpsilon, UsualEpsilon));
        return CommonFields.Of(config, ModelType, AttentionBias).WithBiases(config) with { Norms = NormPlaces.After, HeadNorm = HeadNorm.AllHeads };
    }
}
