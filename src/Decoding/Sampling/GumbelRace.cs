using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ProxyTune.Decoding.Sampling;

/// <summary>Finds the kept token with the largest score + noise without computing the noise of tokens that cannot win.</summary>
internal static class GumbelRace
{
    private const int Block = 512;

    // The filter works in single precision: a little slack keeps it from dropping a token that would have won.
    private const float Slack = 1.0001f;

    /// <param name="scores">Logits over temperature, the largest being 0.</param>
    /// <param name="likeliest">Id of the largest score: always kept, and a good first leader.</param>
    public static int Winner(ReadOnlySpan<float> scores, Cut cut, GumbelNoise noise, int likeliest)
    {
        Leader leader = new(likeliest, scores[likeliest] + noise[likeliest]);
        Span<float> mass = stackalloc float[Block];
        for (int start = 0; start < scores.Length; start += Block)
        {
            ReadOnlySpan<float> block = scores.Slice(start, Math.Min(Block, scores.Length - start));
            if (TensorPrimitives.Max(block) < cut.Score)
            {
                continue;
            }

            TensorPrimitives.Exp(block, mass);
            RunBlock(block, MemoryMarshal.Cast<float, Vector256<float>>(mass), start, cut, noise, ref leader);
        }

        return leader.Id;
    }

    /// <summary>A token beats the leader when -log(1 - v) is below exp(score - leader), which needs v below it.</summary>
    private static void RunBlock(
        ReadOnlySpan<float> block, ReadOnlySpan<Vector256<float>> mass, int start, Cut cut, GumbelNoise noise, ref Leader leader)
    {
        Vector256<uint> lanes = Vector256<uint>.Indices;
        for (int i = 0; i < block.Length; i += Vector256<float>.Count)
        {
            Vector256<int> upper = (noise.Upper(lanes + Vector256.Create((uint)(start + i))) >>> 8).AsInt32();
            Vector256<float> v = Vector256.ConvertToSingle(upper) * (1f / (1 << 24));
            uint hits = Vector256.LessThanOrEqual(v, mass[i / Vector256<float>.Count] * leader.Bound).ExtractMostSignificantBits();
            for (; hits != 0; hits &= hits - 1)
            {
                int k = i + BitOperations.TrailingZeroCount(hits);
                // The last block may be shorter than the vectors that cover it.
                if (k < block.Length && cut.Keeps(block[k], start + k))
                {
                    leader.Meet(start + k, block[k] + noise[start + k]);
                }
            }
        }
    }

    private struct Leader(int id, double score)
    {
        private double score = score;

        public int Id { get; private set; } = id;

        public float Bound { get; private set; } = (float)Math.Exp(-score) * Slack;

        public void Meet(int id, double other)
        {
            if (other > score)
            {
                this = new(id, other);
            }
        }
    }
}
