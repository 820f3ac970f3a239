using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// EFT's filter (Mitchell et al. 2023): outside the expert's nucleus the large model has no say and the row stays log p+. Both parts of
/// the row are normalised, z = sum of w_k log p_k inside and log p+ outside, since they meet in one softmax.
/// </summary>
/// <param name="Probability">Mass of the nucleus, above 0 to 1. 1 masks nothing.</param>
public sealed record DeltaMask(double Probability)
{
    /// <param name="fused">The weighted sum of logits; receives the row.</param>
    /// <param name="normaliser">What the weighted sum must be lowered by to be one of log-probabilities: sum of w_k log sum exp s_k.</param>
    /// <param name="expert">s+, the plus side of the first delta.</param>
    internal void Apply(Span<float> fused, double normaliser, ReadOnlySpan<float> expert)
    {
        Cut nucleus = CandidateMask.NucleusOf(expert, Probability);
        float ofExpert = Logprobs.Normaliser(expert);
        for (int id = 0; id < fused.Length; id++)
        {
            // A token that some member bans stays banned.
            if (nucleus.Keeps(expert[id], id) || float.IsNegativeInfinity(fused[id]))
            {
                fused[id] -= (float)normaliser;
            }
            else
            {
                fused[id] = expert[id] - ofExpert;
            }
        }
    }
}
