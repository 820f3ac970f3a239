using System.Diagnostics.Metrics;
using System.Threading.Channels;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>A running answer. Disposing it before its end cancels it and frees its sequence at the next step.</summary>
public sealed class GenerationStream : IDisposable
{
    // Log-probabilities of the likeliest tokens are most of a token's size.
    private const int MaxUnread = 32_768;

    private readonly Channel<GeneratedToken> channel = Channel.CreateUnbounded<GeneratedToken>();

    private readonly IDisposable? use;
    private volatile bool isCancelled;
    private volatile int cachedTokens;

    internal GenerationStream(GenerationRequest request, AdmissionQueue queue)
    {
        Request = request;
        AdmissionQueue = queue;
        Origin = request.Origin ?? new("");
        use = request.Use?.Invoke();
    }

    /// <summary>The tokens in the order of the draws. The channel completes with the last one, or with an <see cref="EngineException"/>: SlowReader if too many of them are not read.</summary>
    public ChannelReader<GeneratedToken> Tokens => channel.Reader;

    /// <summary>The number of tokens of the base's prompt that came from the prefix cache; known with the first token.</summary>
    public int CachedTokens
    {
        get => cachedTokens;
        internal set => cachedTokens = value;
    }

    internal GenerationRequest Request { get; }

    internal RequestOrigin Origin { get; }

    internal AdmissionQueue AdmissionQueue { get; }

    internal bool IsCancelled => isCancelled;

    /// <summary>Cancels the answer. Thread-safe. It has no effect on a finished answer.</summary>
    public void Dispose()
    {
        isCancelled = true;
        if (channel.Writer.TryComplete() && Request.Measured)
        {
            RequestMetrics.Cancelled();
        }

        AdmissionQueue.Remove(this);
    }

    /// <summary>Called once when the request has no sequence and will get none.</summary>
    internal void EndUse() => use?.Dispose();

    internal void Publish(GeneratedToken token)
    {
        if (channel.Reader.Count >= MaxUnread / (1 + token.Top.Count))
        {
            isCancelled = true;
            Fail(new(EngineError.SlowReader, $"The client has not read the last {channel.Reader.Count} tokens, so the answer ends here; read faster, or ask for fewer max_tokens."));
            return;
        }

        channel.Writer.TryWrite(token);
        if (token.Finish is { } reason && channel.Writer.TryComplete() && Request.Measured)
        {
            RequestMetrics.Finished(reason);
        }
    }

    internal void Fail(EngineException failure)
    {
        if (channel.Writer.TryComplete(failure) && Request.Measured)
        {
            RequestMetrics.Failed();
        }
    }
}

/// <summary>One token of an answer.</summary>
/// <param name="Id">The token id. The end-of-text id that stops an answer is published too, with its finish reason; it is not part of the text.</param>
/// <param name="Logprob">The natural logarithm of its probability in the fused distribution at temperature 1, before penalties and truncation; null if not requested.</param>
/// <param name="Top">The likeliest tokens, descending; empty if not requested.</param>
/// <param name="Finish">The finish reason of the last token; null for other tokens.</param>
public sealed record GeneratedToken(int Id, float? Logprob, IReadOnlyList<TokenLogprob> Top, FinishReason? Finish)
{
    /// <summary>True for a token of the prompt, which <see cref="GenerationRequest.ScorePrompt"/> publishes. The first token of a prompt has no log-probability.</summary>
    public bool OfPrompt { get; init; }

    /// <summary>The trace of the token; null unless the plan asks for a trace, and null for the first token of a prompt.</summary>
    public TokenTrace? Trace { get; init; }
}

public enum FinishReason
{
    /// <summary>An end-of-text id of one of the streams' models was drawn.</summary>
    Stop,

    /// <summary>MaxTokens or the context's end was reached.</summary>
    Length,
}

/// <summary>Counts of the ends of answers. A request for n choices has n answers.</summary>
internal static class RequestMetrics
{
    private static readonly Counter<long> Requests = EngineMeter.Meter.CreateCounter<long>(
        "proxytune.answers", description: "Answers that ended, by outcome: stop, length, failed, or cancelled (by the client, or by a stop string).");

    public static void Finished(FinishReason reason) => Ended(reason == FinishReason.Stop ? "stop" : "length");

    public static void Failed() => Ended("failed");

    public static void Cancelled() => Ended("cancelled");

    private static void Ended(string outcome) => Requests.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
