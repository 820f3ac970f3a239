using ProxyTune.Decoding.Generation;

namespace ProxyTune.Gateway.Answers;

/// <summary>Adds up the traces of one choice.</summary>
internal sealed class TraceTotals
{
    private readonly Dictionary<string, double> weights = [];
    private int tokens;
    private double divergence;
    private double largest;
    private int changed;
    private int gated;
    private int gatedChanging;
    private int saturated;
    private double? missing;

    /// <summary>Null where nothing was traced.</summary>
    public TraceSummary? Summary => tokens == 0 ? null : new(
        tokens,
        weights.ToDictionary(sum => sum.Key, sum => sum.Value / tokens),
        divergence / tokens,
        largest,
        changed,
        (double)changed / tokens,
        gated,
        gatedChanging,
        saturated)
    {
        MaxMissing = missing,
    };

    public void Add(GeneratedToken token)
    {
        if (token.Trace is not { } trace)
        {
            return;
        }

        tokens++;
        divergence += trace.Divergence;
        largest = Math.Max(largest, trace.Divergence);
        changed += token.Id == trace.BaseChoice ? 0 : 1;
        gated += trace.Gated is null ? 0 : 1;
        gatedChanging += trace.Gated is { ChangesChoice: true } ? 1 : 0;
        saturated += trace.Saturated ? 1 : 0;
        missing = trace.Missing is { } bound ? Math.Max(missing ?? 0, bound.TotalVariation) : missing;
        foreach ((string delta, float weight) in trace.Weights)
        {
            weights[delta] = weights.GetValueOrDefault(delta) + weight;
        }
    }
}
