using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Sampling;

/// <summary>The sampling chain of one request. The order in which it applies is fixed: see <see cref="Sampler"/>.</summary>
public sealed record SamplingOptions
{
    /// <summary>0 (greedy) to 2. Default 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the k likeliest; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set whose probability reaches this. (0, 1], 1 keeps all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep tokens with at least this fraction of the likeliest one's probability. [0, 1], 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>-2 to 2, subtracted once per distinct generated token.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>-2 to 2, subtracted once per occurrence among the generated tokens.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Above 0; positive logits of generated tokens are divided, negative ones multiplied by it (Keskar et al. 2019). 1 is off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Token id to -100..100, added to its logit.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>The same seed gives the same text, alone and in a batch.</summary>
    public ulong Seed { get; init; }

    /// <summary>Refuses what lies outside the ranges above.</summary>
    /// <exception cref="EngineException">InvalidValue with the field's name as in OpenAI's API (<c>top_p</c>).</exception>
    public void Check(int vocabularySize)
    {
        RangeCheck.Between("temperature", Temperature, 0, 2);
        RangeCheck.Between("top_k", TopK, 0, int.MaxValue);
        RangeCheck.Between("top_p", TopP, float.Epsilon, 1, "above 0 and at most 1");
        RangeCheck.Between("min_p", MinP, 0, 1);
        RangeCheck.Between("presence_penalty", PresencePenalty, -2, 2);
        RangeCheck.Between("frequency_penalty", FrequencyPenalty, -2, 2);
        RangeCheck.Between("repetition_penalty", RepetitionPenalty, float.Epsilon, float.MaxValue, "above 0");
        foreach ((int id, float bias) in LogitBias)
        {
            RangeCheck.Between("logit_bias", id, 0, vocabularySize - 1, $"a token id from 0 to {vocabularySize - 1}");
            RangeCheck.Between("logit_bias", bias, -100, 100);
        }
    }
}
