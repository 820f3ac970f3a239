using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>A direction in which the row is moved: d = s_plus - s_minus.</summary>
/// <param name="Name">Its name in a trace.</param>
/// <param name="Plus">Index of a stream, or null for 0.</param>
/// <param name="Minus">Index of a stream, or null for 0.</param>
/// <param name="Weight">Its factor, before schedule and rule.</param>
public sealed record FusionDelta(string Name, int? Plus, int? Minus, float Weight);

/// <summary>
/// How one sequence is fused: z = sum of w_k s_k + sum of a_i d_i, then the mask. The plan belongs to the sequence and not to the ensemble,
/// so different requests share batches.
/// </summary>
/// <param name="Streams">The base comes first.</param>
/// <param name="VocabularySize"><inheritdoc cref="StreamPlan" path="/param[@name='VocabularySize']"/></param>
public sealed record FusionPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null) : StreamPlan(Streams, VocabularySize)
{
    /// <summary>Deltas of weight 0 are left out, and streams that nothing uses are not run.</summary>
    public IReadOnlyList<FusionDelta> Deltas { get; init; } = [];

    /// <summary>Multiplies the deltas' weights, token by token.</summary>
    public AlphaSchedule Schedule { get; init; } = AlphaSchedule.Constant;

    /// <summary>Chooses further factors from the rows; null leaves weight times schedule.</summary>
    public IFusionRule? Rule { get; init; }

    public CandidateMask Mask { get; init; } = CandidateMask.None;

    /// <summary>EFT's mask of the size delta, or null.</summary>
    public DeltaMask? DeltaMask { get; init; }

    /// <summary>The plan of a prompt; one without deltas is a weighted sum.</summary>
    internal static FusionPlan Of(Prompt prompt) =>
        prompt.Plan as FusionPlan ?? new FusionPlan(prompt.Plan.Streams, prompt.Plan.VocabularySize) { Trace = prompt.Plan.Trace };
}
