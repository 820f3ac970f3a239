using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

namespace ProxyTune.Load;

/// <summary>Sends requests and measures when their events arrive.</summary>
/// <param name="start">Timestamp of the start of the run.</param>
internal sealed class Client(HttpClient http, long start)
{
    /// <summary>Sends a streamed completion and reads it to its end.</summary>
    /// <param name="due">Time at which the request was due, in seconds from the start of the run.</param>
    public async Task<LoadResult> SendAsync(LoadRequest request, double due)
    {
        List<double> arrivals = [];
        int tokens = 0;
        string? failure = null;
        try
        {
            using HttpRequestMessage message = new(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(Body(request)) };
            using HttpResponseMessage response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
            using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
            if (!response.IsSuccessStatusCode)
            {
                failure = $"{(int)response.StatusCode}";
            }

            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data: {", StringComparison.Ordinal))
                {
                    using JsonDocument data = JsonDocument.Parse(line["data: ".Length..]);
                    failure = data.RootElement.TryGetProperty("error", out JsonElement error) ? error.GetProperty("message").GetString() : failure;
                    if (data.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
                    {
                        tokens = usage.GetProperty("completion_tokens").GetInt32();
                    }
                    else
                    {
                        arrivals.Add(Now() - due);
                    }
                }
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or TaskCanceledException)
        {
            failure = error.GetType().Name;
        }

        return new(request.Model, due, arrivals.Count > 0 ? arrivals[0] : null, [.. arrivals.Zip(arrivals.Skip(1), (a, b) => b - a)], Now() - due, tokens, failure);
    }

    /// <summary>Seconds since the start of the run.</summary>
    public double Now() => Stopwatch.GetElapsedTime(start).TotalSeconds;

    private static object Body(LoadRequest request) => new
    {
        model = request.Model,
        prompt = request.Prompt,
        max_tokens = request.MaxTokens,
        temperature = 0.8,
        top_p = 0.95,
        seed = request.Number,
        stream = true,
        stream_options = new { include_usage = true },
        logit_bias = request.Banned.ToDictionary(id => $"{id}", _ => -100),
    };
}
