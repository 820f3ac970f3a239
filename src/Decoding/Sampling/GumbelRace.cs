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

/// <summary>
/// Standard Gumbel noise as a hash of (seed, position, token): the largest of logit + noise is a draw from the softmax, and the
/// same token at the same position always has the same noise.
/// </summary>
/// <remarks>
/// The noise is -log(-log(1 - v)), v uniform in (0, 1) with 64 bits. Its upper 32 bits can be had for 8 tokens at once; since
/// -log(1 - v) is at least v, they tell most tokens that they cannot win before any logarithm is taken.
/// </remarks>
internal readonly struct GumbelNoise
{
    private const double TwoToMinus64 = 5.421010862427522e-20;
    private const double TwoToMinus53 = 1.1102230246251565e-16;

    private readonly uint first;
    private readonly uint second;

    public GumbelNoise(ulong seed, int position)
    {
        ulong key = Scramble(Scramble(seed) + (ulong)position);
        first = (uint)key;
        second = (uint)(key >> 32);
    }

    /// <summary>Noise of one token.</summary>
    public double this[int token]
    {
        get
        {
            uint upper = Mix(Mix((uint)token ^ first) ^ second);
            uint lower = Mix(Mix((uint)token + second) + first);
            double v = Math.Min((((ulong)upper << 32 | lower) + 0.5) * TwoToMinus64, 1 - TwoToMinus53);
            return -Math.Log(-double.LogP1(-v));
        }
    }

    /// <summary>The upper 32 bits of v for 8 tokens.</summary>
    public Vector256<uint> Upper(Vector256<uint> tokens) =>
        Mix(Mix(tokens ^ Vector256.Create(first)) ^ Vector256.Create(second));

    // Finalisers of MurmurHash3 (32 bits) and SplitMix64: bijections whose every output bit depends on every input bit.
    private static uint Mix(uint x)
    {
        x = (x ^ (x >> 16)) * 0x85EBCA6B;
        x = (x ^ (x >> 13)) * 0xC2B2AE35;
        return x ^ (x >> 16);
    }

    private static Vector256<uint> Mix(Vector256<uint> x)
    {
        x = (x ^ (x >>> 16)) * Vector256.Create(0x85EBCA6B);
        x = (x ^ (x >>> 13)) * Vector256.Create(0xC2B2AE35);
        return x ^ (x >>> 16);
    }

    private static ulong Scramble(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
