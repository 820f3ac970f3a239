using System.Diagnostics;
using System.Net.Http.Json;

namespace ProxyTune.Bench;

/// <summary>One streamed request to /v1/completions with token ids for a prompt, so that its length is exact.</summary>
internal static class CompletionCall
{
    /// <summary>Reads the whole answer to a prompt that no earlier one begins like.</summary>
    /// <returns>Seconds until the first event, which carries the first token.</returns>
    public static Task<double> RunAsync(HttpClient http, Family family, int promptTokens, int maxTokens, int variant) =>
        RunAsync(http, family, family.Tokens(promptTokens, variant), maxTokens, variant, Guid.NewGuid().ToString());

    /// <param name="salt">Prompts of the same salt share their beginnings.</param>
    /// <returns>Seconds until the first event, which carries the first token.</returns>
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

            // Answers must have their full length.
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
            : throw new InvalidDataException($"{(int)response.StatusCode}, and not {maxTokens} tokens: {usage}");
    }
}
