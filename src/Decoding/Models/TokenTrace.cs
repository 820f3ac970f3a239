namespace ProxyTune.Decoding.Models;

/// <summary>The trace of a drawn token: its probability in every stream, and the weights of the streams.</summary>
/// <param name="Weights">The factor a of this token by the name of the delta: the product of weight, schedule and rule.</param>
/// <param name="Streams">The natural logarithm of the token's probability in each stream, at temperature 1; minus infinity if the stream bans it.</param>
/// <param name="BaseChoice">The base's own likeliest token.</param>
/// <param name="BaseChoiceLogprob">The log-probability of that token in the base.</param>
/// <param name="Divergence">KL(fused, base) in nats at temperature 1, from 0.</param>
/// <param name="Kept">The number of tokens that neither the candidate mask nor a member bans.</param>
/// <param name="Saturated">Whether a dynamic weight stopped at its upper limit.</param>
/// <param name="Gated">The effect of the gate at this token; null if the token was fused.</param>
public sealed record TokenTrace(
    IReadOnlyDictionary<string, float> Weights,
    IReadOnlyDictionary<string, float> Streams,
    int BaseChoice,
    float BaseChoiceLogprob,
    double Divergence,
    int Kept,
    bool Saturated,
    GateTrace? Gated)
{
    /// <summary>A bound of the effect of tokens that a remote base did not return; null for a base with complete rows.</summary>
    public MissingBound? Missing { get; init; }
}

/// <summary>A token that the gate left to the base.</summary>
/// <param name="Divergence">KL(fused, base) in nats if the token had been fused.</param>
/// <param name="ChangesChoice">Whether the fused row has another likeliest token.</param>
public sealed record GateTrace(double Divergence, bool ChangesChoice);

/// <summary>A bound of the effect of tokens that a remote base did not return, at one position.</summary>
/// <param name="Mass">m: the base's probability of the missing tokens, 0 to 1.</param>
/// <param name="TotalVariation">
/// An upper bound of the total variation between the fused distribution over the known tokens and the one from the base's complete row, 0 to 1.
/// </param>
/// <param name="KeepsLikeliest">Whether no missing token can be likelier than the likeliest known one. Greedy decoding is then the same as with the complete row.</param>
public readonly record struct MissingBound(double Mass, double TotalVariation, bool KeepsLikeliest)
{
    /// <summary>The bound of a complete row, or of missing tokens that cannot be candidates.</summary>
    public static MissingBound Nothing(double mass) => new(mass, 0, true);

    /// <summary>The bound without any information.</summary>
    public static MissingBound Unknown(double mass) => new(mass, 1, false);
}
