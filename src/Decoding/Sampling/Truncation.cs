using System.Buffers;
using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Sampling;

/// <summary>
/// Top-k, then top-p of what top-k kept, renormalised (Holtzman et al. 2020), then min-p (Nguyen et al. 2024). Each keeps a leading part
/// of the tokens ordered by score, so together they are one <see cref="Cut"/>.
/// </summary>
internal static class Truncation
{
    private const int Block = 1024;

    /// <param name="scores">Logits over temperature, the largest being 0.</param>
    public static Cut Find(ReadOnlySpan<float> scores, SamplingOptions options)
    {
        Cut cut = options.MinP > 0 ? new(MathF.Log(options.MinP), int.MaxValue) : Cut.None;
        bool limited = options.TopK > 0 && options.TopK < scores.Length;
        if (!limited && options.TopP >= 1)
        {
            return cut;
        }

        Candidate[] rented = ArrayPool<Candidate>.Shared.Rent(scores.Length);
        try
        {
            int kept = limited ? options.TopK : 0;
            double mass = 0;
            if (limited)
            {
                Selection.Top(scores, kept, rented);
            }
            else
            {
                // Tokens below this bound have less than 1 - p of the mass together, so the nucleus lies above it.
                mass = Mass(scores);
                kept = Selection.Above(scores, (float)Math.Log((1 - options.TopP) * mass / scores.Length), rented);
            }

            if (options.TopP < 1)
            {
                kept = Nucleus(rented.AsSpan(0, kept), options.TopP, limited ? null : mass);
            }

            Candidate last = rented[kept - 1];
            return cut.And(new(last.Score, last.Id));
        }
        finally
        {
            ArrayPool<Candidate>.Shared.Return(rented);
        }
    }

    private static int Nucleus(Span<Candidate> candidates, float p, double? mass)
    {
        double sum = 0;
        foreach (ref Candidate candidate in candidates)
        {
            candidate = candidate with { Mass = MathF.Exp(candidate.Score) };
            sum += candidate.Mass;
        }

        return Selection.Nucleus(candidates, p * (mass ?? sum));
    }

    private static double Mass(ReadOnlySpan<float> scores)
    {
        Span<float> exponentials = stackalloc float[Block];
        double mass = 0;
        for (int start = 0; start < scores.Length; start += Block)
        {
            ReadOnlySpan<float> block = scores.Slice(start, Math.Min(Block, scores.Length - start));
            TensorPrimitives.Exp(block, exponentials);
            mass += TensorPrimitives.Sum<float>(exponentials[..block.Length]);
        }

        return mass;
    }
}
