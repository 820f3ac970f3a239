using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One summand of the fused row: a model's logits times a weight (z = sum of w_k s_k).</summary>
/// <param name="Model">A member of the ensemble.</param>
/// <param name="Role">Which prompt template it reads.</param>
/// <param name="Weight">Factor of its logits.</param>
public sealed record FusionStream(ILanguageModel Model, StreamRole Role, float Weight);

public enum StreamRole
{
    Base,
    Expert,
    AntiExpert,
}

/// <summary>What is fused for one sequence. Belongs to the sequence, not to the ensemble, so different requests share batches.</summary>
/// <param name="Streams">The base comes first.</param>
/// <param name="VocabularySize">
/// Tokens that the streams share, when their rows are wider than the tokenizer (padded vocabularies); null takes the narrowest row.
/// Ids beyond it cannot be drawn.
/// </param>
public sealed record FusionPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null);
