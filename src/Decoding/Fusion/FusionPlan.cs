using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One model reading one rendering of the prompt.</summary>
/// <param name="Model">A member of the ensemble.</param>
/// <param name="Role">Which prompt template it reads.</param>
/// <param name="Weight">Constant factor of its logits, beside what deltas add to it. Default 0.</param>
/// <param name="Name">What a trace calls it.</param>
/// <param name="Patch">What is added to the model's weights for this stream alone; streams of one model are rows of one pass, whatever their patches.</param>
public sealed record FusionStream(ILanguageModel Model, StreamRole Role, float Weight = 0, string Name = "", PatchSum? Patch = null)
{
    /// <summary>The model with its patch, for messages.</summary>
    public string ModelName => Patch is null ? Model.Info.Name : $"{Model.Info.Name} + {Patch.Name}";
}

public enum StreamRole
{
    Base,
    Expert,
    AntiExpert,

    /// <summary>The base reading the conversation without its context message (context-aware decoding).</summary>
    BaseWithoutContext,
}

/// <summary>A direction in which the row is moved: d = s_plus - s_minus.</summary>
/// <param name="Name">What a trace calls it.</param>
/// <param name="Plus">Index of a stream, or null for 0.</param>
/// <param name="Minus">Index of a stream, or null for 0.</param>
/// <param name="Weight">Its factor, before schedule and rule.</param>
public sealed record FusionDelta(string Name, int? Plus, int? Minus, float Weight);

/// <summary>
/// What is fused for one sequence: z = sum of w_k s_k + sum of a_i d_i, then the mask. Belongs to the sequence, not to the ensemble, so
/// different requests share batches.
/// </summary>
/// <param name="Streams">The base comes first.</param>
/// <param name="VocabularySize">
/// Tokens that the streams share, when their rows are wider than the tokenizer (padded vocabularies); null takes the narrowest row.
/// Ids beyond it cannot be drawn.
/// </param>
public sealed record FusionPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null)
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

    /// <summary>Whether <see cref="Sequence.Explain"/> will be asked.</summary>
    public bool Trace { get; init; }
}
