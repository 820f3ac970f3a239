namespace ProxyTune.Decoding.Models;

/// <summary>Why one token was drawn: what every stream thought of it and how they were weighed.</summary>
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
    /// <summary>What tokens that a remote base did not name could have changed here; null for a base whose rows are whole.</summary>
    public MissingBound? Missing { get; init; }
}

/// <summary>A token that was left to the base although fusion was asked.</summary>
/// <param name="Divergence">KL(fused, base) that fusion would have brought, in nats.</param>
/// <param name="ChangesChoice">Whether fusion would have had another likeliest token.</param>
public sealed record GateTrace(double Divergence, bool ChangesChoice);
