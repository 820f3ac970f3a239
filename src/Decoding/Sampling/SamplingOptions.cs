namespace ProxyTune.Decoding.Sampling;

/// <summary>The sampling chain of one request. The order in which it applies is fixed: see docs/decoding.md.</summary>
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

    /// <summary>Above 0; positive logits of seen tokens are divided, negative ones multiplied by it (Keskar et al. 2019). 1 is off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Token id to -100..100, added to its logit.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>The same seed gives the same text, alone and in a batch.</summary>
    public ulong Seed { get; init; }
}
