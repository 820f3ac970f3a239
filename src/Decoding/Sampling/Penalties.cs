using System.Buffers;

namespace ProxyTune.Decoding.Sampling;

/// <summary>Edits of single logits: logit_bias, then repetition, presence and frequency penalties of tokens generated so far.</summary>
internal static class Penalties
{
    /// <summary>Whether the options change any logit.</summary>
    public static bool Any(SamplingOptions options, ReadOnlySpan<int> generated) =>
        options.LogitBias.Count > 0 || (generated.Length > 0 && AnyPenalty(options));

    public static void Apply(Span<float> scores, ReadOnlySpan<int> generated, SamplingOptions options)
    {
        foreach ((int id, float bias) in options.LogitBias)
        {
            scores[id] += bias;
        }

        if (generated.Length == 0 || !AnyPenalty(options))
        {
            return;
        }

        bool[] seen = ArrayPool<bool>.Shared.Rent(scores.Length);
        Array.Clear(seen);
        foreach (int id in generated)
        {
            if (!seen[id])
            {
                seen[id] = true;
                float score = scores[id];
                scores[id] = (score > 0 ? score / options.RepetitionPenalty : score * options.RepetitionPenalty) - options.PresencePenalty;
            }
        }

        ArrayPool<bool>.Shared.Return(seen);
        foreach (int id in generated)
        {
            scores[id] -= options.FrequencyPenalty;
        }
    }

    private static bool AnyPenalty(SamplingOptions options) =>
        options.RepetitionPenalty != 1 || options.PresencePenalty != 0 || options.FrequencyPenalty != 0;
}
