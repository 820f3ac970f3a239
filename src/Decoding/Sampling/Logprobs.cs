using System.Buffers;
using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Sampling;

/// <summary>Natural logarithms of softmax(row): the fused distribution at temperature 1, before penalties and truncation.</summary>
internal static class Logprobs
{
    /// <summary>The likeliest tokens, descending, lower ids first among equals; banned ones are left out.</summary>
    public static TokenLogprob[] Top(ReadOnlySpan<float> row, int count, float normaliser)
    {
        if (count == 0)
        {
            return [];
        }

        count = Math.Min(count, row.Length);
        Candidate[] rented = ArrayPool<Candidate>.Shared.Rent(row.Length);
        Selection.Top(row, count, rented);
        Span<Candidate> top = rented.AsSpan(0, count);
        top.Sort((a, b) => a.Score == b.Score ? a.Id.CompareTo(b.Id) : b.Score.CompareTo(a.Score));
        List<TokenLogprob> likeliest = new(count);
        foreach (Candidate candidate in top)
        {
            if (!float.IsNegativeInfinity(candidate.Score))
            {
                likeliest.Add(new(candidate.Id, candidate.Score - normaliser));
            }
        }

        ArrayPool<Candidate>.Shared.Return(rented);
        return [.. likeliest];
    }

    /// <summary>log of the sum of exp(row): subtract it from a logit to have its log-probability.</summary>
    public static float Normaliser(ReadOnlySpan<float> row)
    {
        float largest = TensorPrimitives.Max(row);
        float[] rented = ArrayPool<float>.Shared.Rent(row.Length);
        Span<float> exponentials = rented.AsSpan(0, row.Length);
        TensorPrimitives.Subtract(row, largest, exponentials);
        TensorPrimitives.Exp<float>(exponentials, exponentials);
        float sum = TensorPrimitives.Sum<float>(exponentials);
        ArrayPool<float>.Shared.Return(rented);
        return largest + MathF.Log(sum);
    }
}

/// <summary>A token and the natural logarithm of its probability.</summary>
public readonly record struct TokenLogprob(int Id, float Logprob);
