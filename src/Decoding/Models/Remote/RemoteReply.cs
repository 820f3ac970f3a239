using System.Net;

namespace ProxyTune.Decoding.Models;

/// <summary>One HTTP answer, read whole.</summary>
/// <param name="RetryAfter">When the remote wants to be asked again, from now.</param>
internal sealed record RemoteReply(HttpStatusCode Status, byte[] Body, TimeSpan? RetryAfter)
{
    public bool IsSuccess => (int)Status is >= 200 and < 300;

    /// <summary>The remote's own trouble, which speaks for leaving it alone.</summary>
    public bool IsBroken => Status == HttpStatusCode.RequestTimeout || (int)Status >= 500;

    /// <summary>Whether the same request may be answered later.</summary>
    public bool MayPass => IsBroken || Status == HttpStatusCode.TooManyRequests;
}
