using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Writes the trace of a token. The members' rows of its step must still be valid.</summary>
internal static class Explanation
{
    /// <param name="index">The index of the row among the requested rows.</param>
    /// <param name="row">The fused row.</param>
    public static TokenTrace Of(FusedSequence sequence, Weighing weighing, int index, ReadOnlySpan<float> row, int token)
    {
        RunningPlan running = sequence.Running;
        int width = sequence.VocabularySize;
        Dictionary<string, float> weights = [];
        foreach ((FusionDelta delta, float weight) in running.Deltas.Zip(weighing.Weights))
        {
            weights[delta.Name] = weight;
        }

        Dictionary<string, float> streams = [];
        for (int k = 0; k < running.Streams.Count; k++)
        {
            ReadOnlySpan<float> logits = sequence.Streams[k].Row(index).Span[..width];
            float logprob = logits[token] - sequence.Streams[k].Normaliser(logits);
            foreach (string name in running.Streams[k].Names)
            {
                streams[name] = logprob;
            }
        }

        FusedStream baseStream = sequence.Streams[running.Base!.Value];
        ReadOnlySpan<float> ofBase = baseStream.Row(index).Span[..width];
        int choice = Sampler.Largest(ofBase);
        return new(
            weights, streams, choice, ofBase[choice] - baseStream.Normaliser(ofBase), Divergence.Of(row[..width], ofBase), weighing.Kept, weighing.Saturated, weighing.Gated)
        {
            Missing = weighing.Missing,
        };
    }
}

/// <summary>Kullback-Leibler divergence of two rows of logits.</summary>
internal static class Divergence
{
    /// <summary>Replaces plus infinity, which JSON cannot represent and which would make every mean infinite.</summary>
    public const double Largest = 9999;

    /// <summary>KL(softmax p, softmax q) in nats, at least 0. Tokens that p bans add nothing. It is <see cref="Largest"/> if only q bans a token.</summary>
    public static double Of(ReadOnlySpan<float> p, ReadOnlySpan<float> q)
    {
        double ofP = Logprobs.Normaliser(p), ofQ = Logprobs.Normaliser(q), sum = 0;
        for (int i = 0; i < p.Length; i++)
        {
            if (!float.IsNegativeInfinity(p[i]))
            {
                double logarithm = p[i] - ofP;
                sum += Math.Exp(logarithm) * (logarithm - (q[i] - ofQ));
            }
        }

        return Math.Clamp(sum, 0, Largest);
    }
}
