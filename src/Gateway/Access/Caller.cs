using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Access;

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
