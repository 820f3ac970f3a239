using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Answers;

/// <summary>What both completion endpoints accept. Ranges and descriptions also write the error messages and the OpenAPI document.</summary>
internal abstract record RequestFields
{
    /// <summary>A served model's name, or <c>name@alpha</c>.</summary>
    [Required]
    [Description("the name of a served model, or name@alpha")]
    public string? Model { get; init; }

    [Range(0.0, 2.0)]
    public double? Temperature { get; init; }

    [Range(0.0, 1.0)]
    public double? TopP { get; init; }

    [Range(0, int.MaxValue)]
    public int? TopK { get; init; }

    [Range(0.0, 1.0)]
    public double? MinP { get; init; }

    [Range(-2.0, 2.0)]
    public double? PresencePenalty { get; init; }

    [Range(-2.0, 2.0)]
    public double? FrequencyPenalty { get; init; }

    [Range(0.01, 100.0)]
    public double? RepetitionPenalty { get; init; }

    [Description("an object from at most 300 token ids (integers from 0 up to the size of the model's vocabulary) to numbers from -100 to 100")]
    public IReadOnlyDictionary<int, double>? LogitBias { get; init; }

    /// <summary>Absent: a random one.</summary>
    public long? Seed { get; init; }

    [JsonConverter(typeof(StopConverter))]
    [Description("a non-empty string or an array of up to 4 non-empty strings, of at most 1024 characters each")]
    public IReadOnlyList<string>? Stop { get; init; }

    [Range(1, 8)]
    public int? N { get; init; }

    public bool? Stream { get; init; }

    [Description("an object with include_usage (true or false)")]
    public StreamOptions? StreamOptions { get; init; }

    public string? User { get; init; }

    /// <summary>As at vLLM: only requests with the same salt, and the same key, share what is kept of their prompts.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>Wins over the model name's suffix, which wins over the header X-Fusion.</summary>
    public AskedFusion? Fusion { get; init; }
}

internal sealed record StreamOptions(bool? IncludeUsage);

/// <summary><c>"a"</c> or <c>["a", "b"]</c>.</summary>
internal sealed class StopConverter : JsonConverter<IReadOnlyList<string>>
{
    private const int MaxStops = 4, MaxLength = 1024;

    public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument value = JsonDocument.ParseValue(ref reader);
        string[] stops = value.RootElement.ValueKind switch
        {
            JsonValueKind.String => [value.RootElement.GetString()!],
            JsonValueKind.Array => [.. value.RootElement.EnumerateArray().Select(Wire.Text)],
            _ => throw new JsonException(),
        };
        return stops.Length <= MaxStops && stops.All(stop => stop.Length is > 0 and <= MaxLength) ? stops : throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options) =>
        throw new NotSupportedException("Requests are only read.");
}

/// <summary>What a format reads from fields of its own.</summary>
/// <param name="MaxTokens">The limit for each answer; null for as many as the context holds.</param>
/// <param name="TopLogprobs">How many alternatives are listed for each token; null for no log-probabilities.</param>
/// <param name="ScorePrompt">Whether the prompt's tokens get log-probabilities.</param>
/// <param name="IgnoreEndOfText">Whether an answer goes on after an end-of-text token.</param>
internal sealed record AnswerOptions(int? MaxTokens, int? TopLogprobs, bool ScorePrompt = false, bool IgnoreEndOfText = false);

/// <summary>What all choices of one request share; a choice adds its prompt and its seed.</summary>
internal sealed class GenerationRequestTemplate
{
    // OpenAI allows top_p 0, which keeps the likeliest token alone; the sampler's range is open at 0.
    private const float SmallestTopP = 1e-6f;

    // The golden ratio's bits: consecutive choices get seeds far apart.
    private const ulong SeedStride = 0x9E3779B97F4A7C15;

    private const int MaxBiases = 300;

    private readonly SamplingOptions sampling;
    private readonly AnswerOptions options;

    public GenerationRequestTemplate(RequestFields fields, int vocabularySize, AnswerOptions options)
    {
        this.options = options;
        SamplingOptions defaults = new();
        sampling = new SamplingOptions
        {
            Temperature = (float?)fields.Temperature ?? defaults.Temperature,
            TopK = fields.TopK ?? defaults.TopK,
            TopP = Math.Max((float?)fields.TopP ?? defaults.TopP, SmallestTopP),
            MinP = (float?)fields.MinP ?? defaults.MinP,
            PresencePenalty = (float?)fields.PresencePenalty ?? defaults.PresencePenalty,
            FrequencyPenalty = (float?)fields.FrequencyPenalty ?? defaults.FrequencyPenalty,
            RepetitionPenalty = (float?)fields.RepetitionPenalty ?? defaults.RepetitionPenalty,
            LogitBias = Bias(fields.LogitBias, vocabularySize) ?? defaults.LogitBias,
            Seed = unchecked((ulong)(fields.Seed ?? Random.Shared.NextInt64())),
        };
    }

    /// <summary>Of each answer; the context may leave less room.</summary>
    public int MaxTokens => options.MaxTokens ?? int.MaxValue;

    public bool ScorePrompt => options.ScorePrompt;

    /// <summary>Choice 0 has the request's own seed, so more choices do not change the first.</summary>
    public GenerationRequest For(Prompt prompt, int choice) => new()
    {
        Prompt = prompt,
        Sampling = sampling with { Seed = unchecked(sampling.Seed + ((ulong)choice * SeedStride)) },
        MaxTokens = MaxTokens,
        TopLogprobs = options.TopLogprobs,
        ScorePrompt = ScorePrompt,
        IgnoreEndOfText = options.IgnoreEndOfText,
    };

    private static Dictionary<int, float>? Bias(IReadOnlyDictionary<int, double>? bias, int vocabularySize)
    {
        if (bias?.Count > MaxBiases)
        {
            throw new EngineException(EngineError.InvalidValue, $"logit_bias has {bias.Count} tokens; accepted are at most {MaxBiases}.", "logit_bias");
        }

        foreach ((int id, double value) in bias ?? new Dictionary<int, double>())
        {
            if (id < 0 || id >= vocabularySize || value is not (>= -100 and <= 100))
            {
                throw new EngineException(
                    EngineError.InvalidValue,
                    FormattableString.Invariant($"logit_bias gives token {id} the bias {value}; accepted are token ids from 0 to {vocabularySize - 1} and biases from -100 to 100."),
                    "logit_bias");
            }
        }

        return bias?.ToDictionary(entry => entry.Key, entry => (float)entry.Value);
    }
}
