using System.Text.Json;

namespace ProxyTune.Decoding.Models;

/// <summary>The form of prompts in requests to a remote.</summary>
public enum RemotePrompt
{
    /// <summary>Token ids. They are exact; vLLM, llama.cpp and this server accept them.</summary>
    Tokens,

    /// <summary>Text, which the remote tokenises again. It needs a byte-level tokenizer.</summary>
    Text,
}

/// <summary>The options of a model behind an OpenAI-compatible completions endpoint.</summary>
public sealed record RemoteOptions
{
    public const int MaxTopLogprobs = 1000;

    /// <summary>The base URL of the API, such as http://host:8000/v1, or the server's root, to which v1 is added.</summary>
    public required Uri Url { get; init; }

    /// <summary>The remote's name of the model.</summary>
    public required string Model { get; init; }

    /// <summary>The key, which is sent as a bearer token; null sends none. It is in no message and no hash.</summary>
    public RemoteKey? Key { get; init; }

    /// <summary>The number of likeliest tokens to request, 1 to 1,000. The remote may have a lower limit. Default 20.</summary>
    public int TopLogprobs { get; init; } = 20;

    public RemotePrompt Prompt { get; init; }

    /// <summary>The time limit of one attempt, including reading the answer. Default 30 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest number of retries after transient failures: no connection, timeout, 408, 429, 5xx. Default 3.</summary>
    public int Retries { get; init; } = 3;

    /// <summary>The wait before the first retry. It doubles for each further retry, with jitter, up to <see cref="LongestDelay"/>. Default 0.5 s.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest wait between attempts. If a remote requires more with Retry-After, there is no retry. Default 30 s.</summary>
    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromSeconds(30);

    public BreakerOptions Breaker { get; init; } = new();

    /// <summary>Additional fields of the request's body, for servers that need more than OpenAI's fields.</summary>
    public IReadOnlyDictionary<string, JsonElement> Body { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>The name in messages and metrics.</summary>
    internal string Name => $"{Model}@{Url.Authority}";

    internal Uri Endpoint
    {
        get
        {
            string root = Url.AbsoluteUri.TrimEnd('/');
            return new Uri(root.EndsWith("/v1", StringComparison.Ordinal) ? $"{root}/completions" : $"{root}/v1/completions");
        }
    }
}

/// <summary>The options of the circuit breaker, which stops requests to a failing remote for some time.</summary>
public sealed record BreakerOptions
{
    /// <summary>The breaker opens if this share of the attempts of a window fails; above 0 to 1. Default 0.5.</summary>
    public double FailureRatio { get; init; } = 0.5;

    /// <summary>The smallest number of attempts in a window for the breaker to open; at least 2. Default 10.</summary>
    public int Attempts { get; init; } = 10;

    /// <summary>The length of a window, 0.5 s to a day. Default 30 s.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The time that the breaker stays open before it allows one attempt, 0.5 s to a day. Default 15 s.</summary>
    public TimeSpan Open { get; init; } = TimeSpan.FromSeconds(15);
}

/// <summary>A secret that no message, log or debugger shows by accident.</summary>
public sealed class RemoteKey(string value)
{
    internal string Value { get; } = value;

    /// <summary>Removes the key from a text, since a remote may repeat it.</summary>
    internal string Redact(string text) => text.Replace(Value, "***", StringComparison.Ordinal);

    public override string ToString() => "***";
}
