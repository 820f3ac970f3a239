using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Completions;

/// <summary>Body of POST /v1/completions.</summary>
internal sealed record CompletionRequest : RequestFields
{
    /// <summary>OpenAI's default where max_tokens is absent.</summary>
    public const int DefaultMaxTokens = 16;

    [Required]
    [JsonConverter(typeof(PromptConverter))]
    [Description("a string, an array of strings, an array of token ids, or an array of arrays of token ids, none of them empty; ids are integers from 0 up to the size of the model's vocabulary")]
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

/// <summary>The four shapes of a completion's prompt.</summary>
internal sealed class PromptConverter : JsonConverter<IReadOnlyList<PromptItem>>
{
    public override IReadOnlyList<PromptItem> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        JsonElement value = document.RootElement;
        if (value.ValueKind == JsonValueKind.String)
        {
            return [new PromptItem(value.GetString(), null)];
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            throw new JsonException();
        }

        return value[0].ValueKind switch
        {
            JsonValueKind.String => [.. value.EnumerateArray().Select(item => new PromptItem(Wire.Text(item), null))],
            JsonValueKind.Number => [new PromptItem(null, Tokens(value))],
            _ => [.. value.EnumerateArray().Select(item => new PromptItem(null, Tokens(item)))],
        };
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<PromptItem> value, JsonSerializerOptions options) =>
        throw new NotSupportedException("Requests are only read.");

    private static int[] Tokens(JsonElement array) =>
        array.ValueKind == JsonValueKind.Array && array.GetArrayLength() > 0
            ? [.. array.EnumerateArray().Select(Token)]
            : throw new JsonException();

    private static int Token(JsonElement id) =>
        id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int value) ? value : throw new JsonException();
}
