using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// config.json of Phi-3, Phi-3.5, Phi-4 and Phi-4-mini (Phi3ForCausalLM in transformers): one weight for queries, keys and values, one for gate
/// and up; some have a window, a part of each head that rotates, or LongRoPE.
/// </summary>
internal static class Phi3Config
{
    public const string ModelType = "phi3";

    private const string FullAttention = "full_attn_mod", Interpolation = "interpolate_factor";
    private const int UsualOriginalContext = 4096;
    private const double UsualEpsilon = 1e-5;

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults((RopeFields.OriginalContext, UsualOriginalContext), (NormEpsilon, UsualEpsilon));
        config.AcceptOnly(AttentionBias, bool.FalseString);
        config.AcceptOnly(FeedForwardBias, bool.FalseString);

        // Phi-4-mini has these two with the values that change nothing.
        config.AcceptOnly(FullAttention, "1");
        config.AcceptOnly(Interpolation, "1");
        return CommonFields.Of(config, ModelType, Window, FullAttention, Interpolation).WithLayers(config, config.FindWindow(), _ => true) with { FusedProjections = true };
    }
}
