using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Kullback-Leibler divergence of two rows of logits.</summary>
internal static class Divergence
{
    /// <summary>Stands for plus infinity, which JSON cannot say and no mean survives.</summary>
    public const double Largest = 9999;

    /// <summary>KL(softmax p, softmax q) in nats, from 0; tokens that p bans add nothing; <see cref="Largest"/> where q alone bans one.</summary>
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
