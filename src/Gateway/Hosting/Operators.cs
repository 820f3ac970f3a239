using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Tells operators from others: by the configured key, or without one by a connection from this machine.</summary>
/// <param name="key">Null: loopback only.</param>
internal sealed class Operators(string? key)
{
    private const string Scheme = "Bearer ";

    // What proxies add; a request that one passed on comes from this machine in no sense that matters.
    private static readonly string[] ForwardedHeaders = ["Forwarded", "X-Forwarded-For"];

    /// <summary>Whether a request is an operator's: <c>Authorization: Bearer KEY</c>.</summary>
    public bool Include(HttpContext http) => key is null
        ? http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !ForwardedHeaders.Any(http.Request.Headers.ContainsKey)
        : http.Request.Headers.Authorization.ToString() is var given
            && given.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given[Scheme.Length..]), Encoding.UTF8.GetBytes(key));
}
