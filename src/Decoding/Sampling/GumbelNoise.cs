using System.Runtime.Intrinsics;

namespace ProxyTune.Decoding.Sampling;

/// <summary>
/// Standard Gumbel noise as a hash of (seed, position, token): the largest of logit + noise is a draw from the softmax, and whoever looks
/// at the same token at the same position sees the same noise.
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
