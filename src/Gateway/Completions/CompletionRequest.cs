using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Completions;

/// <summary>Body of POST /v1/completions.</summary>
internal sealed record CompletionRequest : RequestFields
{
    /// <summary>OpenAI's default where max_tokens is absent.</summary>
    public const int DefaultMaxTokens = 16;

    [Required]
    [JsonConverter(typeof(PromptConverter))]
    [Description("a string, an array of strings, an array of token ids, or an array of arrays of token ids, none of them empty")]
    public IReadOnlyList<PromptItem>? Prompt { get; init; }

    /// <summary>0 needs echo.</summary>
    [Range(0, int.MaxValue)]
    public int? MaxTokens { get; init; }

    /// <summary>Begin the answer with the prompt; with logprobs, its tokens are scored by the fused model.</summary>
    public bool? Echo { get; init; }

    /// <summary>How many alternatives to list per token.</summary>
    [Range(0, 20)]
    public int? Logprobs { get; init; }

    /// <summary>Go on at an end of text, as at vLLM; with max_tokens 1 and logprobs it tells the next token's distribution in any case.</summary>
    public bool? IgnoreEos { get; init; }

    /// <summary>Name tokens in logprobs as token_id:N, as at vLLM, since several tokens may have one text.</summary>
    public bool? ReturnTokensAsTokenIds { get; init; }
}

/// <summary>One prompt: text, or token ids where <paramref name="Tokens"/> is not null.</summary>
internal sealed record PromptItem(string? Text, int[]? Tokens);
