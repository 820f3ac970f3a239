using System.Text;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>Traces on the wire.</summary>
internal static class TraceWriter
{
    /// <summary>Null where there is nothing to tell, or nobody asked.</summary>
    public static FusionTrace? Write(ModelCall call, IReadOnlyList<AnswerToken> tokens, TraceSummary? summary) =>
        !call.Plan.Settled.Trace || (tokens.Count == 0 && summary is null) ? null : new FusionTrace
        {
            Tokens = tokens.Count > 0 ? [.. tokens.Select(token => Token(call.Model.Tokenizer, token.Token))] : null,
            Summary = summary,
        };

    private static TracedToken? Token(Tokenizer tokenizer, GeneratedToken token) => token.Trace is not { } trace ? null : new(
        Text(tokenizer, token.Id),
        token.Id,
        trace.Weights,
        trace.Streams.ToDictionary(stream => stream.Key, stream => LogprobWriter.Finite(stream.Value)),
        new TracedChoice(Text(tokenizer, trace.BaseChoice), trace.BaseChoice, LogprobWriter.Finite(trace.BaseChoiceLogprob)),
        trace.Divergence,
        trace.Kept,
        trace.Saturated,
        trace.Gated is { } gate ? new TracedGate(gate.Divergence, gate.ChangesChoice) : null)
    {
        MissingBound = trace.Missing,
    };

    private static string Text(Tokenizer tokenizer, int id) => Encoding.UTF8.GetString(tokenizer.TokenBytes(id));
}
