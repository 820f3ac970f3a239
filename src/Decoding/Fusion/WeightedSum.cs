using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The weighted sum z = sum of w_k s_k. Proxy-tuning (Liu et al. 2024), EFT (Mitchell et al. 2023), contrastive and context-aware decoding differ only
/// in streams and weights.
/// </summary>
public static class WeightedSum
{
    private const int Block = 2048;

    /// <summary>Fuses rows of one position.</summary>
    /// <param name="rows">One row for each stream, at least as wide as <paramref name="fused"/>. Wider rows are cut.</param>
    /// <param name="weights">One weight for each row.</param>
    /// <param name="fused">Receives the sum. A token that any stream bans (minus infinity) is banned at any weights.</param>
    /// <returns>The index of the first row with NaN or plus infinity; the number of rows if the sum itself overflows; -1 without an error.</returns>
    public static int Fuse(ReadOnlySpan<ReadOnlyMemory<float>> rows, ReadOnlySpan<float> weights, Span<float> fused)
    {
        // The sum is computed in blocks that stay in the first-level cache until all rows are added.
        float total = 0;
        for (int start = 0; start < fused.Length; start += Block)
        {
            Span<float> sum = fused.Slice(start, Math.Min(Block, fused.Length - start));
            TensorPrimitives.Multiply(rows[0].Span.Slice(start, sum.Length), weights[0], sum);
            for (int k = 1; k < rows.Length; k++)
            {
                TensorPrimitives.MultiplyAdd(rows[k].Span.Slice(start, sum.Length), weights[k], sum, sum);
            }

            total += TensorPrimitives.Sum<float>(sum);
        }

        // Every infinity and NaN of a row reaches the sum (0 times infinity is NaN), so one check of the sum covers all rows.
        return float.IsFinite(total) ? -1 : Inspect(rows, fused);
    }

    private static int Inspect(ReadOnlySpan<ReadOnlyMemory<float>> rows, Span<float> fused)
    {
        for (int k = 0; k < rows.Length; k++)
        {
            ReadOnlySpan<float> row = rows[k].Span[..fused.Length];
            if (IsUnsound(row))
            {
                return k;
            }

            for (int i = 0; i < row.Length; i++)
            {
                if (float.IsNegativeInfinity(row[i]))
                {
                    fused[i] = float.NegativeInfinity;
                }
            }
        }

        return IsUnsound(fused) ? rows.Length : -1;
    }

    /// <summary>Whether a row holds NaN or plus infinity.</summary>
    internal static bool IsUnsound(ReadOnlySpan<float> row)
    {
        float largest = TensorPrimitives.Max(row);
        return float.IsNaN(largest) || float.IsPositiveInfinity(largest);
    }
}
