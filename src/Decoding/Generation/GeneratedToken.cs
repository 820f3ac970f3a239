using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>One token of an answer.</summary>
/// <param name="Id">Its id. The end-of-text id that stops an answer is published too, with its finish reason, and is not part of the text.</param>
/// <param name="Logprob">Natural logarithm of its probability in the fused distribution at temperature 1, before penalties and truncation; null when not asked for.</param>
/// <param name="Top">The likeliest tokens, descending; empty when not asked for.</param>
/// <param name="Finish">Set on the last token.</param>
public sealed record GeneratedToken(int Id, float? Logprob, IReadOnlyList<TokenLogprob> Top, FinishReason? Finish)
{
    /// <summary>A token of the prompt, published before the answer's where <see cref="GenerationRequest.ScorePrompt"/> asked for it; the first has no log-probability.</summary>
    public bool OfPrompt { get; init; }

    /// <summary>Why it was drawn; null unless the plan asked for a trace, and for the first token of a prompt.</summary>
    public TokenTrace? Trace { get; init; }
}
