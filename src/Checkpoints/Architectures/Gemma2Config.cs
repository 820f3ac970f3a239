using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// config.json of Gemma 2 (Gemma2ForCausalLM in transformers): norms with 1 + weight before and behind attention and feed-forward network, scaled
/// embeddings, soft caps of scores and logits, a scale of scores of its own, and a window in every second layer.
/// </summary>
internal static class Gemma2Config
{
    public const string ModelType = "gemma2";

    private const int UsualKeyValueHeads = 4, UsualHeadSize = 256, UsualQueryScalar = 256, UsualWindow = 4096;
    private const double UsualAttentionCap = 50, UsualLogitsCap = 30;
    private const string GateActivation = "hidden_activation", QueryScalar = "query_pre_attn_scalar", AttentionCap = "attn_logit_softcapping", LogitsCap = "final_logit_softcapping";

    public static DecoderSpec Read(JsonFields config)
    {
        config = config.WithDefaults(
            (KeyValueHeads, UsualKeyValueHeads), (HeadSize, UsualHeadSize), (Window, UsualWindow), (AttentionCap, UsualAttentionCap), (LogitsCap, UsualLogitsCap));
        return Gemma(config, ModelType, LayerTypes).WithLayers(config, config.Integer(Window, 1), layer => layer % 2 == 0);
    }

    /// <summary>What Gemma 2 and 3 have in common.</summary>
    public static DecoderSpec Gemma(JsonFields config, string family, params string[] own)
    {
        config = config.WithDefaults((TiedHead, true), (GateActivation, "gelu_pytorch_tanh"), (QueryScalar, UsualQueryScalar));
        config.AcceptOnly("use_bidirectional_attention", bool.FalseString);

        // transformers reads hidden_activation and not hidden_act, which some files have too.
        string activation = config.FindText(GateActivation) ?? throw config.Wrong(GateActivation, "gelu_pytorch_tanh");
        config.AcceptOnly(HiddenActivation, activation);
        DecoderSpec spec = CommonFields.Of(config, family, [.. own, AttentionBias, GateActivation, QueryScalar, AttentionCap, LogitsCap, Window]).WithBiases(config);
        double scalar = config.FindPositive(QueryScalar) ?? throw config.Wrong(QueryScalar, "a number above 0");
        return spec with
        {
            Norms = NormPlaces.Before | NormPlaces.After,
            NormsAddOne = true,
            Activation = ActivationOf(config, GateActivation),
            EmbeddingScale = Math.Sqrt(spec.HiddenSize),
            AttentionScale = 1 / Math.Sqrt(scalar),
            AttentionSoftCap = config.FindPositive(AttentionCap),
            LogitsSoftCap = config.FindPositive(LogitsCap),
        };
    }
}
