using System.Threading.Channels;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Generation;

/// <summary>A running answer. Disposing it before its end cancels it and frees its sequence at the next step.</summary>
public sealed class GenerationStream : IDisposable
{
    private readonly Channel<GeneratedToken> channel =
        Channel.CreateUnbounded<GeneratedToken>(new() { SingleReader = true, SingleWriter = false });

    private volatile bool isCancelled;
    private volatile int cachedTokens;

    internal GenerationStream(GenerationRequest request, AdmissionQueue lane)
    {
        Request = request;
        AdmissionQueue = lane;
    }

    /// <summary>Tokens as they are drawn; completes with the last one, or with an <see cref="EngineException"/>.</summary>
    public ChannelReader<GeneratedToken> Tokens => channel.Reader;

    /// <summary>Tokens of the base's prompt that were not computed since an earlier text began with them; known with the first token.</summary>
    public int CachedTokens
    {
        get => cachedTokens;
        internal set => cachedTokens = value;
    }

    internal GenerationRequest Request { get; }

    internal AdmissionQueue AdmissionQueue { get; }

    internal bool IsCancelled => isCancelled;

    /// <summary>Cancels. Thread-safe; without effect on a finished answer.</summary>
    public void Dispose()
    {
        isCancelled = true;
        if (channel.Writer.TryComplete() && Request.Measured)
        {
            RequestMetrics.Cancelled();
        }

        AdmissionQueue.Line.Remove(this);
    }

    internal void Publish(GeneratedToken token)
    {
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
