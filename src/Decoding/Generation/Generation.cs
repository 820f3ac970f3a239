using System.Threading.Channels;

using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

public enum FinishReason
{
    /// <summary>An end-of-text id of one of the streams' models was drawn.</summary>
    Stop,

    /// <summary>MaxTokens or the context's end was reached.</summary>
    Length,
}

/// <summary>What to generate.</summary>
public sealed record GenerationRequest
{
    public required Prompt Prompt { get; init; }

    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>At least 1; the engine lowers it to the room that the context leaves.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    /// <summary>0 to 20 alternatives with log-probability per token. Null asks for no log-probabilities at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Go on at an end-of-text id instead of stopping (for benchmarks).</summary>
    public bool IgnoreEndOfText { get; init; }
}

/// <summary>One token of an answer.</summary>
/// <param name="Id">Its id. The end-of-text id that stops an answer is published too, with its finish reason, and is not part of the text.</param>
/// <param name="Logprob">Natural logarithm of its probability in the fused distribution at temperature 1, before penalties and truncation; null when not asked for.</param>
/// <param name="Top">The likeliest tokens, descending; empty when not asked for.</param>
/// <param name="Finish">Set on the last token.</param>
public sealed record GeneratedToken(int Id, float? Logprob, IReadOnlyList<TokenLogprob> Top, FinishReason? Finish);

public readonly record struct TokenLogprob(int Id, float Logprob);

/// <summary>A running answer. Disposing it before its end cancels it and frees its sequence at the next step.</summary>
public sealed class Generation : IDisposable
{
    /// <summary>Tokens as they are drawn; completes with the last one, or with an <see cref="EngineException"/>.</summary>
    public ChannelReader<GeneratedToken> Tokens => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
