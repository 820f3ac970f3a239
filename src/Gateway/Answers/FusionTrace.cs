using System.Text.Json.Serialization;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Gateway.Answers;

/// <summary>How the tokens of a choice came about, where <c>fusion.trace</c> is true. A streamed choice has its tokens beside their text and the summary in its last chunk.</summary>
internal sealed record FusionTrace
{
    /// <summary>In the order and number of the tokens in <c>logprobs</c>; null for the first token of an echoed prompt.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TracedToken?>? Tokens { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TraceSummary? Summary { get; init; }
}

/// <param name="Weights">By expert (or size, amateur, context): what its difference was multiplied by for this token.</param>
/// <param name="Streams">The token's log-probability in each stream, at temperature 1.</param>
/// <param name="BaseChoice">What the base alone would have likeliest said.</param>
/// <param name="Divergence">KL(fused, base) in nats.</param>
/// <param name="Kept">Candidates that mask and members left.</param>
/// <param name="Saturated">Whether a dynamic weight stopped at its upper limit.</param>
/// <param name="Gated">What fusion would have done where the gate left the token to the base; else null.</param>
internal sealed record TracedToken(
    string Token,
    int Id,
    IReadOnlyDictionary<string, float> Weights,
    IReadOnlyDictionary<string, float> Streams,
    TracedChoice BaseChoice,
    double Divergence,
    int Kept,
    bool Saturated,
    TracedGate? Gated)
{
    /// <summary>What tokens that a remote base did not name could have changed; absent for a base that is not remote.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MissingBound? MissingBound { get; init; }
}

internal sealed record TracedChoice(string Token, int Id, float Logprob);

internal sealed record TracedGate(double Divergence, bool ChangesChoice);

/// <param name="Tokens">All that were traced, the end-of-text token included; the other numbers are over these.</param>
/// <param name="ChangedChoices">Tokens that are not the base's own likeliest.</param>
/// <param name="GatedChanging">Gated tokens where fusion would have had another likeliest token.</param>
internal sealed record TraceSummary(
    int Tokens,
    IReadOnlyDictionary<string, double> MeanWeights,
    double MeanDivergence,
    double MaxDivergence,
    int ChangedChoices,
    double ChangedShare,
    int Gated,
    int GatedChanging,
    int Saturated)
{
    /// <summary>The largest total variation that tokens not named by a remote base could have made; absent for a base that is not remote.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MaxMissing { get; init; }
}
