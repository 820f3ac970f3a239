using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Testing;

/// <summary>Factors by which <see cref="WidenedModel"/> enlarges a model. The added weights have no effect on its function.</summary>
/// <param name="Hidden">Factor for the hidden size. The factor 4 changes no rounding in a norm because its square root is a power of two.</param>
/// <param name="Intermediate">Factor for the intermediate size.</param>
/// <param name="Heads">Factor for the query heads and the key-value heads.</param>
/// <param name="Layers">Factor for the number of layers.</param>
public sealed record Widening(int Hidden = 1, int Intermediate = 1, int Heads = 1, int Layers = 1)
{
    internal DecoderSpec Of(DecoderSpec config) => config with
    {
        HiddenSize = Hidden * config.HiddenSize,
        IntermediateSize = Intermediate * config.IntermediateSize,
        Heads = Heads * config.Heads,
        KeyValueHeads = Heads * config.KeyValueHeads,
        Layers = Layers * config.Layers,

        // The mean of squares runs over more channels, and the added ones are zero.
        NormEpsilon = config.NormEpsilon / Hidden,
    };
}
