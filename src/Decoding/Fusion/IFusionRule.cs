namespace ProxyTune.Decoding.Fusion;

/// <summary>Chooses, for one position, the factor that multiplies each delta's weight. Pure and thread-safe.</summary>
public interface IFusionRule
{
    /// <param name="step">The rows of this position.</param>
    /// <param name="factors">Receives one factor for each delta, at least 0 and finite.</param>
    /// <returns>Whether a factor stopped at the rule's upper limit although the rule would have gone on.</returns>
    bool Choose(in FusionStep step, Span<float> factors);
}

/// <summary>The rows of one position, all of the shared vocabulary's width, without NaN or plus infinity. Minus infinity bans a token.</summary>
/// <param name="base">s_M, logits of the base.</param>
/// <param name="deltas">Rows whose difference each delta is.</param>
/// <param name="previous">The factors of the position before; empty at the first.</param>
public readonly ref struct FusionStep(ReadOnlySpan<float> @base, ReadOnlySpan<DeltaRows> deltas, ReadOnlySpan<float> previous)
{
    public ReadOnlySpan<float> Base { get; } = @base;

    public ReadOnlySpan<DeltaRows> Deltas { get; } = deltas;

    public ReadOnlySpan<float> Previous { get; } = previous;
}

/// <summary>The two sides of d = s_plus - s_minus as logits; an absent side is empty and stands for 0.</summary>
public readonly record struct DeltaRows(ReadOnlyMemory<float> Plus, ReadOnlyMemory<float> Minus);
