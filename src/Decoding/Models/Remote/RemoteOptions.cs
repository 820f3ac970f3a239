using System.Text.Json;

namespace ProxyTune.Decoding.Models;

/// <summary>In which form a remote is given a prompt.</summary>
public enum RemotePrompt
{
    /// <summary>Token ids: exact, and accepted by vLLM, llama.cpp and this server.</summary>
    Tokens,

    /// <summary>Text, which the remote tokenises again. Only where the tokenizer is byte-level.</summary>
    Text,
}

/// <summary>How a model behind an OpenAI-compatible completions endpoint is asked.</summary>
public sealed record RemoteOptions
{
    public const int MaxTopLogprobs = 1000;

    /// <summary>The API's root, such as http://host:8000/v1, or the server's, to which v1 is added.</summary>
    public required Uri Url { get; init; }

    /// <summary>What the remote calls the model.</summary>
    public required string Model { get; init; }

    /// <summary>Sent as a bearer token; null sends none. It is in no message and no hash.</summary>
    public RemoteKey? Key { get; init; }

    /// <summary>How many of the likeliest tokens to ask for; 1 to 1,000, as far as the remote allows it. Default 20.</summary>
    public int TopLogprobs { get; init; } = 20;

    public RemotePrompt Prompt { get; init; }

    /// <summary>For one attempt, reading the answer included. Default 30 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Attempts after the first, where the failure may pass: no connection, timeout, 408, 429, 5xx. Default 3.</summary>
    public int Retries { get; init; } = 3;

    /// <summary>Before the first retry; doubled for each further one, with jitter, up to <see cref="LongestDelay"/>. Default 0.5 s.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>Longest wait between attempts. A remote that asks for more with Retry-After is not asked again. Default 30 s.</summary>
    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromSeconds(30);

    public BreakerOptions Breaker { get; init; } = new();

    /// <summary>Further fields of the request's body, for what servers want beyond OpenAI's.</summary>
    public IReadOnlyDictionary<string, JsonElement> Body { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>What messages and metrics call it.</summary>
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

/// <summary>When a remote that fails is left alone for a while.</summary>
public sealed record BreakerOptions
{
    /// <summary>Opens when this share of the attempts of a window failed; above 0 to 1. Default 0.5.</summary>
    public double FailureRatio { get; init; } = 0.5;

    /// <summary>Attempts that a window must have to be judged; at least 2. Default 10.</summary>
    public int Attempts { get; init; } = 10;

    /// <summary>0.5 s to a day. Default 30 s.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long it stays open before one attempt may try; 0.5 s to a day. Default 15 s.</summary>
    public TimeSpan Open { get; init; } = TimeSpan.FromSeconds(15);
}

/// <summary>A secret that no message, log or debugger shows by accident.</summary>
public sealed class RemoteKey(string value)
{
    internal string Value { get; } = value;

    /// <summary>The text without the key, should a remote have repeated it.</summary>
    internal string Redact(string text) => text.Replace(Value, "***", StringComparison.Ordinal);

    public override string ToString() => "***";
}
