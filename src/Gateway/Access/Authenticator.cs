using System.Net;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Access;

/// <summary>
/// Finds out who sent a request. An operator sends <c>Authorization: Bearer KEY</c>; if no key is configured, an operator is who connects from this
/// machine. All others are clients.
/// </summary>
/// <param name="key">The operators' key; null if none is configured.</param>
internal sealed class Authenticator(string? key)
{
    private const string Scheme = "Bearer ";

    // Proxies add these headers. A request that a proxy passed on comes from elsewhere, although it connects from this machine.
    private static readonly string[] ForwardedHeaders = ["Forwarded", "X-Forwarded-For"];

    /// <summary>Makes the caller available to endpoints, and what is served as the caller may see it.</summary>
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
    /// Whether a browser on this machine sends the request for a page from elsewhere, without its user's wish. Then it names another origin, or a
    /// host name that only now leads to this machine.
    /// </summary>
    private static bool IsOfForeignPage(HttpRequest request)
    {
        string origin = request.Headers.Origin.ToString(), site = request.Headers["Sec-Fetch-Site"].ToString(), host = request.Host.Host.Trim('[', ']');
        return (origin.Length > 0 && origin != $"{request.Scheme}://{request.Host}")
            || site is not ("" or "none" or "same-origin")
            || !(host.Length == 0 || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named)));
    }
}
