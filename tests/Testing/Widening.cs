using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Testing;

/// <summary>
/// Sizes that a model is widened to. What is added is zero, and the function stays the same: see <see cref="WidenedModel"/>.
/// </summary>
/// <param name="Hidden">Times the hidden size; 4 changes no rounding of a norm, since the square root of it is a power of two.</param>
/// <param name="Intermediate">Times the intermediate size.</param>
/// <param name="Heads">Times the heads, of queries and of keys and values.</param>
/// <param name="Layers">Times the layers.</param>
public sealed record Widening(int Hidden = 1, int Intermediate = 1, int Heads = 1, int Layers = 1)
{
    internal DecoderSpec Of(DecoderSpec config) => config with
    {
        HiddenSize = Hidden * config.HiddenSize,
        IntermediateSize = Intermediate * config.IntermediateSize,
        Heads = Heads * config.Heads,
        KeyValueHeads = Heads * config.KeyValueHeads,
        Layers = Layers * config.Layers,

        // The mean of squares is over more channels, all others zero.
        NormEpsilon = config.NormEpsilon / Hidden,
    };
}
