namespace ProxyTune.Decoding.Models;

/// <summary>Why one token was drawn: its probability in every stream, and the weights of the streams.</summary>
/// <param name="Weights">By delta name: the factor a of this token, weight, schedule and rule together.</param>
/// <param name="Streams">Natural logarithm of the token's probability in each stream, at temperature 1; minus infinity where the stream bans it.</param>
/// <param name="BaseChoice">The base's own likeliest token.</param>
/// <param name="BaseChoiceLogprob">Its log-probability in the base.</param>
/// <param name="Divergence">KL(fused, base) in nats at temperature 1, from 0.</param>
/// <param name="Kept">Tokens that the candidate mask and the members left.</param>
/// <param name="Saturated">Whether a dynamic weight stopped at its upper limit.</param>
/// <param name="Gated">What the gate did here, or null where it stood open.</param>
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
    /// <summary>The change that tokens which a remote base did not name could have made here; null for a base whose rows are whole.</summary>
    public MissingBound? Missing { get; init; }
}

/// <summary>A token that was left to the base although fusion was asked.</summary>
/// <param name="Divergence">KL(fused, base) that fusion would have brought, in nats.</param>
/// <param name="ChangesChoice">Whether fusion would have had another likeliest token.</param>
public sealed record GateTrace(double Divergence, bool ChangesChoice);

/// <summary>What the tokens that a remote base did not name could have changed of one position.</summary>
/// <param name="Mass">m: the probability that the base gives to tokens it did not name; 0 to 1.</param>
/// <param name="TotalVariation">
/// No event's probability in the fused distribution over the known tokens differs by more from the one that the base's whole row would have
/// given; 0 to 1.
/// </param>
/// <param name="KeepsLikeliest">Whether no missing token can be likelier than the likeliest known one, so that greedy decoding continues as with the whole row.</param>
public readonly record struct MissingBound(double Mass, double TotalVariation, bool KeepsLikeliest)
{
    /// <summary>The row is whole, or what is missing cannot be a candidate.</summary>
    public static MissingBound Nothing(double mass) => new(mass, 0, true);

    /// <summary>Nothing can be said.</summary>
    public static MissingBound Unknown(double mass) => new(mass, 1, false);
}
