using System.Security.Cryptography;
using System.Text;

namespace ProxyTune.Gateway.Access;

/// <summary>
/// On whose behalf a request is answered. What is kept of earlier prompts helps the same tenant only, or one could learn from the time an
/// answer takes what others asked.
/// </summary>
internal static class Tenants
{
    /// <summary>Tells bearers of different keys apart, and parts of one key's traffic with different salts; those without a key are one tenant.</summary>
    /// <param name="salt">As at vLLM (cache_salt); null for none.</param>
    public static string Of(HttpContext http, string? salt)
    {
        // Hashed one by one, so that no key ends where a salt begins; and keys are not kept.
        byte[] key = SHA256.HashData(Encoding.UTF8.GetBytes(http.Request.Headers.Authorization.ToString()));
        return Convert.ToHexStringLower(SHA256.HashData([.. key, .. Encoding.UTF8.GetBytes(salt ?? "")]));
    }
}
