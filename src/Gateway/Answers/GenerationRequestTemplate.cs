using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Gateway.Answers;

/// <summary>What all choices of one request share; a choice adds its prompt and its seed.</summary>
internal sealed class GenerationRequestTemplate
{
    // OpenAI allows top_p 0, which keeps the likeliest token alone; the sampler's range is open at 0.
    private const float SmallestTopP = 1e-6f;

    // The golden ratio's bits: consecutive choices get seeds far apart.
    private const ulong SeedStride = 0x9E3779B97F4A7C15;

    private readonly SamplingOptions sampling;
    private readonly int? topLogprobs;
    private readonly bool ignoreEndOfText;

    public GenerationRequestTemplate(RequestFields fields, int vocabularySize, int? maxTokens, int? topLogprobs, bool scorePrompt = false, bool ignoreEndOfText = false)
    {
        this.ignoreEndOfText = ignoreEndOfText;
        ScorePrompt = scorePrompt;
        MaxTokens = maxTokens ?? int.MaxValue;
        this.topLogprobs = topLogprobs;
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
    public int MaxTokens { get; }

    public bool ScorePrompt { get; }

    /// <summary>Choice 0 has the request's own seed, so more choices do not change the first.</summary>
    public GenerationRequest For(Prompt prompt, int choice) => new()
    {
        Prompt = prompt,
        Sampling = sampling with { Seed = unchecked(sampling.Seed + ((ulong)choice * SeedStride)) },
        MaxTokens = MaxTokens,
        TopLogprobs = topLogprobs,
        ScorePrompt = ScorePrompt,
        IgnoreEndOfText = ignoreEndOfText,
    };

    private static Dictionary<int, float>? Bias(IReadOnlyDictionary<int, double>? bias, int vocabularySize)
    {
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
