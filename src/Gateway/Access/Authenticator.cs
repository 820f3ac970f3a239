using System.Net;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Access;

/// <summary>
/// Identifies callers. An operator sends <c>Authorization: Bearer KEY</c>; if no key is configured, a connection from this machine is an operator's.
/// All other callers are clients.
/// </summary>
/// <param name="key">The operators' key; null if none is configured.</param>
internal sealed class Authenticator(string? key)
{
    private const string Scheme = "Bearer ";

    // Proxies add these headers. A request that a proxy passed on comes from elsewhere, although it connects from this machine.
    private static readonly string[] ForwardedHeaders = ["Forwarded", "X-Forwarded-For"];

    /// <summary>Registers the caller of a request, and the served models that this caller may see, for endpoints.</summary>
    public static void Add(IServiceCollection services, string? key)
    {
        services.AddHttpContextAccessor();
        services.AddSingleton(new Authenticator(key));
        services.AddScoped(scope => scope.GetRequiredService<Authenticator>().Authenticate(scope.GetRequiredService<IHttpContextAccessor>().HttpContext!));

        // What is served changes at run time. A request keeps what it found.
        services.AddScoped(scope => scope.GetRequiredService<ModelHost>().Served.VisibleTo(scope.GetRequiredService<Caller>().Role));
    }

    public Caller Authenticate(HttpContext http)
    {
        string authorization = http.Request.Headers.Authorization.ToString();
        bool isOperator = key is null ? IsOfThisMachine(http) : HasKey(authorization, key);
        return new(Caller.TenantOf(authorization), isOperator ? CallerRole.Operator : CallerRole.Client);
    }

    private static bool HasKey(string authorization, string key) =>
        authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(authorization[Scheme.Length..]), Encoding.UTF8.GetBytes(key));

    private static bool IsOfThisMachine(HttpContext http) =>
        http.Connection.RemoteIpAddress is { } address
        && IPAddress.IsLoopback(address)
        && !ForwardedHeaders.Any(http.Request.Headers.ContainsKey)
        && !IsOfForeignPage(http.Request);

    /// <summary>
    /// Whether a browser on this machine sends the request for a page of another site. Then the request names another origin, or a host name of the
    /// other site that now resolves to this machine (DNS rebinding).
    /// </summary>
    private static bool IsOfForeignPage(HttpRequest request)
    {
        string origin = request.Headers.Origin.ToString(), site = request.Headers["Sec-Fetch-Site"].ToString(), host = request.Host.Host.Trim('[', ']');
        return (origin.Length > 0 && origin != $"{request.Scheme}://{request.Host}")
            || site is not ("" or "none" or "same-origin")
            || !(host.Length == 0 || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named)));
    }
}

/// <summary>The sender of a request. <see cref="Authenticator"/> makes it once for each request.</summary>
/// <param name="Tenant">The same for all requests with the same key, different for different keys. The key cannot be read from it.</param>
internal sealed record Caller(string Tenant, CallerRole Role)
{
    /// <param name="action">Begins the message, such as "Auditing".</param>
    /// <exception cref="EngineException">OperatorOnly: the caller is not an operator.</exception>
    public void RequireOperator(string action)
    {
        if (Role != CallerRole.Operator)
        {
            throw new EngineException(EngineError.OperatorOnly, $"{action} is for operators.");
        }
    }

    /// <summary>
    /// Names the requests that may reuse each other's cached prompts: those of one tenant with the same salt. Other requests must not, because the time
    /// of an answer would reveal earlier prompts.
    /// </summary>
    /// <param name="salt">Field <c>cache_salt</c> of the request, as in vLLM; null for none.</param>
    public string CacheScope(string? salt) => Hash($"{Tenant}{salt}");

    /// <param name="authorization">The header's value; empty for a request without a key.</param>
    public static string TenantOf(string authorization) => Hash(authorization);

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
