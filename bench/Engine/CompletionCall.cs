using System.Diagnostics;
using System.Net.Http.Json;

namespace ProxyTune.Bench;

/// <summary>Sends a streamed request to /v1/completions. The prompt consists of token ids, so its length is exact.</summary>
internal static class CompletionCall
{
    /// <summary>Sends a prompt with a new salt, so that it finds nothing in the prefix cache, and reads the whole answer.</summary>
    /// <returns>Time to the first event, which carries the first token, in seconds.</returns>
    public static Task<double> RunAsync(HttpClient http, Family family, int promptTokens, int maxTokens, int variant) =>
        RunAsync(http, family, family.Tokens(promptTokens, variant), maxTokens, variant, Guid.NewGuid().ToString());

    /// <summary>Sends a prompt and reads the whole answer.</summary>
    /// <param name="salt">Prompts with the same salt share the prefix cache.</param>
    /// <returns>Time to the first event, which carries the first token, in seconds.</returns>
    public static async Task<double> RunAsync(HttpClient http, Family family, int[] prompt, int maxTokens, int variant, string salt)
    {
        var body = new
        {
            model = family.Served,
            prompt,
            cache_salt = salt,
            max_tokens = maxTokens,
            temperature = 0.8,
            top_p = 0.95,
            seed = variant,
            stream = true,
            stream_options = new { include_usage = true },

            // Without end tokens all answers have full length.
            logit_bias = family.EndOfTextIds.ToDictionary(id => $"{id}", _ => -100),
        };
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        long start = Stopwatch.GetTimestamp();
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        double? first = null;
        string usage = "";
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("data: {", StringComparison.Ordinal))
            {
                first ??= Stopwatch.GetElapsedTime(start).TotalSeconds;
                usage = line;
            }
        }

        return usage.Contains($"\"completion_tokens\":{maxTokens},", StringComparison.Ordinal)
            || usage.Contains($"\"completion_tokens\":{maxTokens}}}", StringComparison.Ordinal)
            ? first!.Value
            : throw new InvalidDataException($"The answer has status {(int)response.StatusCode} and not {maxTokens} tokens: {usage}");
    }
}
