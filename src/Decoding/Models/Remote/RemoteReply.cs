using System.Net;

namespace ProxyTune.Decoding.Models;

/// <summary>A complete HTTP answer.</summary>
/// <param name="RetryAfter">The wait that the remote requires before the next attempt.</param>
internal sealed record RemoteReply(HttpStatusCode Status, byte[] Body, TimeSpan? RetryAfter)
{
    public bool IsSuccess => (int)Status is >= 200 and < 300;

    /// <summary>Whether the failure is the remote's, so that the circuit breaker counts it.</summary>
    public bool IsBroken => Status == HttpStatusCode.RequestTimeout || (int)Status >= 500;

    /// <summary>Whether the same request can succeed later.</summary>
    public bool MayPass => IsBroken || Status == HttpStatusCode.TooManyRequests;
}
