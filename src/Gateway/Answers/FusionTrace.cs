using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>How the tokens of a choice came about, where <c>fusion.trace</c> is true. A streamed choice has its tokens beside their text and the summary in its last chunk.</summary>
internal sealed record FusionTrace
{
    /// <summary>In the order and number of the tokens in <c>logprobs</c>; null for the first token of an echoed prompt. Empty for an answer that ends at once.</summary>
    public required IReadOnlyList<TracedToken?> Tokens { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TraceSummary? Summary { get; init; }
}

/// <param name="Weights">By expert (or size, amateur, context): the factor of the delta for this token.</param>
/// <param name="Streams">The token's log-probability in each stream, at temperature 1.</param>
/// <param name="BaseChoice">The base's own likeliest token.</param>
/// <param name="Divergence">KL(fused, base) in nats.</param>
/// <param name="Kept">How many tokens no mask and no stream removed.</param>
/// <param name="Saturated">Whether a dynamic weight stopped at its upper limit.</param>
/// <param name="Gated">What fusion would have done, if the gate was shut; else null.</param>
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

/// <param name="Tokens">The number of traced tokens, including the end-of-text token. The other numbers are over these.</param>
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

/// <summary>Traces on the wire.</summary>
internal static class TraceWriter
{
    /// <summary>Null if no trace was asked for, or if there is nothing to report.</summary>
    public static FusionTrace? Write(ModelCall call, IReadOnlyList<AnswerToken> tokens, TraceSummary? summary) =>
        !call.Plan.Settled.Trace || (tokens.Count == 0 && summary is null) ? null : new FusionTrace
        {
            Tokens = [.. tokens.Select(token => Token(call.Model.Tokenizer, token.Token))],
            Summary = summary,
        };

    private static TracedToken? Token(Tokenizer tokenizer, GeneratedToken token) => token.Trace is not { } trace ? null : new(
        TokenText.Of(tokenizer, token.Id),
        token.Id,
        trace.Weights,
        trace.Streams.ToDictionary(stream => stream.Key, stream => TokenText.Finite(stream.Value)),
        new TracedChoice(TokenText.Of(tokenizer, trace.BaseChoice), trace.BaseChoice, TokenText.Finite(trace.BaseChoiceLogprob)),
        trace.Divergence,
        trace.Kept,
        trace.Saturated,
        trace.Gated is { } gate ? new TracedGate(gate.Divergence, gate.ChangesChoice) : null)
    {
        MissingBound = trace.Missing,
    };
}

/// <summary>Adds up the traces of one choice.</summary>
internal sealed class TraceTotals
{
    private readonly Dictionary<string, double> weights = [];
    private int tokens;
    private double divergence;
    private double largest;
    private int changed;
    private int gated;
    private int gatedChanging;
    private int saturated;
    private double? missing;

    /// <summary>Null where nothing was traced.</summary>
    public TraceSummary? Summary => tokens == 0 ? null : new(
        tokens,
        weights.ToDictionary(sum => sum.Key, sum => sum.Value / tokens),
        divergence / tokens,
        largest,
        changed,
        (double)changed / tokens,
        gated,
        gatedChanging,
        saturated)
    {
        MaxMissing = missing,
    };

    public void Add(GeneratedToken token)
    {
        if (token.Trace is not { } trace)
        {
            return;
        }

        tokens++;
        divergence += trace.Divergence;
        largest = Math.Max(largest, trace.Divergence);
        changed += token.Id == trace.BaseChoice ? 0 : 1;
        gated += trace.Gated is null ? 0 : 1;
        gatedChanging += trace.Gated is { ChangesChoice: true } ? 1 : 0;
        saturated += trace.Saturated ? 1 : 0;
        missing = trace.Missing is { } bound ? Math.Max(missing ?? 0, bound.TotalVariation) : missing;
        foreach ((string delta, float weight) in trace.Weights)
        {
            weights[delta] = weights.GetValueOrDefault(delta) + weight;
        }
    }
}

/// <summary>A trace is some hundred times as long as the text that it explains, so a request may ask for so many tokens of it.</summary>
internal static class TraceLimit
{
    public const int MaxTokens = 4096;

    /// <exception cref="EngineException">InvalidValue with the number of tokens that would be accepted.</exception>
    /// <param name="choices">Of each prompt.</param>
    public static void Check(IReadOnlyList<Prompt> prompts, int choices, GenerationRequestTemplate template)
    {
        long asked = prompts.Where(prompt => prompt.Plan.Trace).Sum(prompt => (long)choices * (Math.Min(template.MaxTokens, Room(prompt)) + Scored(prompt)));
        if (asked <= MaxTokens)
        {
            return;
        }

        int answers = prompts.Count * choices;
        long left = (MaxTokens - ((long)choices * prompts.Sum(Scored))) / answers;
        string remedy = left < 1
            ? "fewer or shorter prompts"
            : answers == 1 ? $"max_tokens of at most {left}" : $"max_tokens of at most {left} for each of the {answers} answers";
        throw new EngineException(
            EngineError.InvalidValue, $"fusion.trace is true for up to {asked} tokens; accepted are {MaxTokens}, so {remedy}.", "fusion.trace");

        int Scored(Prompt prompt) => template.ScorePrompt ? prompt.TokenCount : 0;
    }

    private static int Room(Prompt prompt) =>
        Math.Max(0, prompt.Plan.Streams.Zip(prompt.Streams, (stream, tokens) => stream.Model.Info.ContextLength - tokens.Length).Min());
}
