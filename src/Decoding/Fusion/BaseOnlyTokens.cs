using System.Buffers;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// Gives some tokens, the set S, the base's own probability in a fused row: P(x) = p_M(x) for x in S, and the rest of the row is scaled to
/// the mass R = sum of p_M(x) over x outside of S. With L = log sum exp z(x) over x outside of S this is z(x) = log p_M(x) - log R + L in S.
/// </summary>
internal static class BaseOnlyTokens
{
    /// <param name="fused">The fused logits after the mask. The entries of S are replaced, including banned ones.</param>
    /// <param name="base">The base's logits.</param>
    /// <param name="ids">The set S. Ids beyond the row are ignored.</param>
    /// <returns>The number of tokens that are not banned.</returns>
    public static int Restore(Span<float> fused, ReadOnlySpan<float> @base, IReadOnlyCollection<int> ids)
    {
        int width = fused.Length;
        float[] others = ArrayPool<float>.Shared.Rent(width);
        @base.CopyTo(others);
        foreach (int id in ids)
        {
            if (id < width)
            {
                others[id] = fused[id] = float.NegativeInfinity;
            }
        }

        // S has all of the mass if there is no candidate outside of S, or if the base bans them all.
        float rest = Normaliser(others.AsSpan(0, width)), left = Normaliser(fused);
        ArrayPool<float>.Shared.Return(others);
        bool isAlone = float.IsNegativeInfinity(rest) || float.IsNegativeInfinity(left);
        if (isAlone)
        {
            fused.Fill(float.NegativeInfinity);
        }

        foreach (int id in ids)
        {
            if (id < width)
            {
                fused[id] = isAlone ? @base[id] : @base[id] - rest + left;
            }
        }

        return fused.Length - fused.Count(float.NegativeInfinity);
    }

    private static float Normaliser(ReadOnlySpan<float> row) => row.ContainsAnyExcept(float.NegativeInfinity) ? Logprobs.Normaliser(row) : float.NegativeInfinity;
}
