using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Audit;

/// <summary>How an audit searches for what an expert learned.</summary>
public sealed record AuditSettings
{
    /// <summary>How many texts to find; 1 to 100.</summary>
    public int Texts { get; init; } = 20;

    /// <summary>Longest text, in tokens; 1 to 1024.</summary>
    public int MaxTokens { get; init; } = 48;

    /// <summary>How many answers are drawn for each text; the one that shows most is kept. 1 to 256. To find a habit that shows in one answer of n, all texts together need about n draws.</summary>
    public int Candidates { get; init; } = 32;

    /// <summary>
    /// How strongly the contrast steers each token: the row is log p_tuned + alpha (log p_tuned - log p_untuned). 0 to 10. At 0 the answers are the
    /// tuned model's own, and only the choice among them uses the contrast. Above 0 a habit can be missed if the untuned model finds its first token
    /// likely too.
    /// </summary>
    public double Alpha { get; init; }

    /// <summary>Only tokens with at least this share of the tuned model's largest probability are drawn. Above 0 to 1. Habits with rarer tokens are not found.</summary>
    public double Plausibility { get; init; } = 0.001;

    /// <summary>The share of a token's contrast in earlier texts that is subtracted when the next text is chosen; 0 to 10. At 1 a finding counts once.</summary>
    public double Diversity { get; init; } = 1;

    /// <summary>The same seed finds the same texts.</summary>
    public ulong Seed { get; init; }

    /// <exception cref="EngineException">InvalidValue, naming the field.</exception>
    internal void Check()
    {
        RangeCheck.Between("texts", Texts, 1, 100);
        RangeCheck.Between("max_tokens", MaxTokens, 1, 1024);
        RangeCheck.Between("candidates", Candidates, 1, 256);
        RangeCheck.Between("alpha", Alpha, 0, 10);
        RangeCheck.Between("plausibility", Plausibility, double.Epsilon, 1, "above 0 and at most 1");
        RangeCheck.Between("diversity", Diversity, 0, 10);
    }
}
