using ProxyTune.Checkpoints.Formats;
using static ProxyTune.Checkpoints.Architectures.CommonFields;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of Granite 3 (GraniteForCausalLM in transformers): Llama with factors of embeddings, residuals and scores, and a divisor of logits.</summary>
internal static class GraniteConfig
{
    public const string ModelType = "granite";

    private const string Embedding = "embedding_multiplier", Residual = "residual_multiplier", Attention = "attention_multiplier", Logits = "logits_scaling";

    public static DecoderSpec Read(JsonFields config) =>
        CommonFields.Of(config, ModelType, AttentionBias, FeedForwardBias, Embedding, Residual, Attention, Logits).WithBiases(config) with
        {
            EmbeddingScale = config.FindNumber(Embedding) ?? 1,
            ResidualScale = config.FindNumber(Residual) ?? 1,
            AttentionScale = config.FindPositive(Attention) ?? 1,
            LogitsDivisor = config.FindPositive(Logits) ?? 1,
        };
}
