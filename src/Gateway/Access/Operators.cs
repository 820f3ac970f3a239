using System.Net;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Access;

/// <summary>Tells operators from others: by the configured key, or without one by a connection from this machine.</summary>
/// <param name="key">Null: loopback only.</param>
internal sealed class Operators(string? key)
{
    private const string Scheme = "Bearer ";

    // What proxies add; a request that one passed on comes from this machine in no sense that matters.
    private static readonly string[] ForwardedHeaders = ["Forwarded", "X-Forwarded-For"];

    /// <exception cref="EngineException">OperatorOnly, where the request is nobody's but a client's.</exception>
    /// <param name="what">Begins the message.</param>
    public void Require(HttpContext http, string what)
    {
        if (!Include(http))
        {
            throw new EngineException(EngineError.OperatorOnly, $"{what} is for operators.");
        }
    }

    /// <summary>
    /// Whether a browser sends it for a page of somebody else, which is on this machine without its user's wish: another origin, or a name
    /// that only now leads here.
    /// </summary>
    private static bool IsOfAPage(HttpRequest request)
    {
        string origin = request.Headers.Origin.ToString(), site = request.Headers["Sec-Fetch-Site"].ToString(), host = request.Host.Host.Trim('[', ']');
        return (origin.Length > 0 && origin != $"{request.Scheme}://{request.Host}")
            || site is not ("" or "none" or "same-origin")
            || !(host.Length == 0 || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named)));
    }

    /// <summary>What is served, as the asker of the current request may see it.</summary>
    public static ServedModels WhatTheyMaySee(IServiceProvider services)
    {
        ServedModels all = services.GetRequiredService<ModelCatalog>().Served;
        HttpContext? http = services.GetRequiredService<IHttpContextAccessor>().HttpContext;
        return http is null || services.GetRequiredService<Operators>().Include(http) ? all : all.ForEverybody;
    }

    /// <summary>Whether a request is an operator's: <c>Authorization: Bearer KEY</c>.</summary>
    public bool Include(HttpContext http) => key is null
        ? http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !ForwardedHeaders.Any(http.Request.Headers.ContainsKey) && !IsOfAPage(http.Request)
        : http.Request.Headers.Authorization.ToString() is var given
            && given.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given[Scheme.Length..]), Encoding.UTF8.GetBytes(key));
}
