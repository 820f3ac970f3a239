using System.Threading.Channels;

namespace ProxyTune.Decoding.Generation;

/// <summary>A running answer. Disposing it before its end cancels it and frees its sequence at the next step.</summary>
public sealed class Generation : IDisposable
{
    private readonly Channel<GeneratedToken> channel =
        Channel.CreateUnbounded<GeneratedToken>(new() { SingleReader = true, SingleWriter = false });

    private volatile bool isCancelled;

    internal Generation(GenerationRequest request, Lane lane)
    {
        Request = request;
        Lane = lane;
    }

    /// <summary>Tokens as they are drawn; completes with the last one, or with an <see cref="EngineException"/>.</summary>
    public ChannelReader<GeneratedToken> Tokens => channel.Reader;

    internal GenerationRequest Request { get; }

    internal Lane Lane { get; }

    internal bool IsCancelled => isCancelled;

    /// <summary>Cancels. Thread-safe; without effect on a finished answer.</summary>
    public void Dispose()
    {
        isCancelled = true;
        channel.Writer.TryComplete();
        Lane.Line.Remove(this);
    }

    internal void Publish(GeneratedToken token)
    {
        channel.Writer.TryWrite(token);
        if (token.Finish is not null)
        {
            channel.Writer.TryComplete();
        }
    }

    internal void Fail(EngineException failure) => channel.Writer.TryComplete(failure);
}
