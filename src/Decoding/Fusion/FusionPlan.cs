using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>A delta: d = s_plus - s_minus.</summary>
/// <param name="Name">The name in a trace.</param>
/// <param name="Plus">The index of a stream; null for a row of zeros.</param>
/// <param name="Minus">The index of a stream; null for a row of zeros.</param>
/// <param name="Weight">The factor before schedule and rule.</param>
public sealed record FusionDelta(string Name, int? Plus, int? Minus, float Weight);

/// <summary>
/// The fusion of one sequence: z = sum of w_k s_k + sum of a_i d_i, then the mask. The plan belongs to the sequence instead of the ensemble,
/// so that different requests share batches.
/// </summary>
/// <param name="Streams">The streams, the base first.</param>
/// <param name="VocabularySize"><inheritdoc cref="StreamPlan" path="/param[@name='VocabularySize']"/></param>
public sealed record FusionPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null) : StreamPlan(Streams, VocabularySize)
{
    /// <summary>The deltas. Deltas of weight 0 are left out, and unused streams are not run.</summary>
    public IReadOnlyList<FusionDelta> Deltas { get; init; } = [];

    /// <summary>The schedule, which multiplies the weights of the deltas at each token.</summary>
    public AlphaSchedule Schedule { get; init; } = AlphaSchedule.Constant;

    /// <summary>The rule that chooses another factor from the rows; null uses weight times schedule.</summary>
    public IFusionRule? Rule { get; init; }

    public CandidateMask Mask { get; init; } = CandidateMask.None;

    /// <summary>The ids of tokens that always keep the base's probability, regardless of deltas and masks. Ids beyond the shared vocabulary have no effect.</summary>
    public IReadOnlyCollection<int> BaseOnlyIds { get; init; } = [];

    /// <summary>The scale of the fused row where <see cref="Prompt.ToScale"/> asks for it.</summary>
    public RowScale Scale { get; init; }

    /// <summary>EFT's mask of the size delta, or null.</summary>
    public DeltaMask? DeltaMask { get; init; }

    /// <summary>The plan of a prompt. A plan without deltas is a weighted sum.</summary>
    internal static FusionPlan Of(Prompt prompt) =>
        prompt.Plan as FusionPlan ?? new FusionPlan(prompt.Plan.Streams, prompt.Plan.VocabularySize) { Trace = prompt.Plan.Trace };
}

/// <summary>What a plan adds up. All sums have the same softmax, but a repetition penalty looks at the sign of a logit.</summary>
public enum RowScale
{
    /// <summary>The logits of all streams.</summary>
    Logits,

    /// <summary>The base's log-probabilities and the logits of all other streams.</summary>
    BaseLogprobs,

    /// <summary>The log-probabilities of all streams.</summary>
    Logprobs,
}

public enum ScheduleKind
{
    Constant,

    /// <summary>The weight is 0 for the first tokens, then complete.</summary>
    WarmUp,

    /// <summary>The weight grows from a first share to the complete weight in equal steps.</summary>
    Linear,

    /// <summary>The weight is 0 at tokens where base and experts have the same likeliest token and the base is sure of it.</summary>
    Gated,
}

/// <summary>The schedule of the weight of all deltas along the answer.</summary>
/// <param name="Tokens">WarmUp: the number of tokens that are not fused. Linear: the number of tokens before the complete weight.</param>
/// <param name="From">Linear: the share of the weight at the first token, 0 to 1.</param>
/// <param name="Threshold">Gated: the probability from which on the base is sure, 0 to 1.</param>
public sealed record AlphaSchedule(ScheduleKind Kind, int Tokens = 0, float From = 0, float Threshold = 1)
{
    public static AlphaSchedule Constant { get; } = new(ScheduleKind.Constant);

    /// <param name="position">The index of the token within the answer, from 0.</param>
    public float Factor(int position) => Kind switch
    {
        ScheduleKind.WarmUp => position < Tokens ? 0 : 1,
        ScheduleKind.Linear => position >= Tokens ? 1 : From + ((1 - From) * position / Tokens),
        _ => 1,
    };
}

/// <summary>A plan with only the streams that run. Streams of the same model, patch and prompt are merged, and unused ones are left out.</summary>
/// <param name="Experts">The streams that masks treat as experts: the plus sides, other than the base, of deltas with a weight, even if the two sides cancel.</param>
internal sealed record RunningPlan(IReadOnlyList<PlannedStream> Streams, IReadOnlyList<FusionDelta> Deltas, int? Base, IReadOnlyList<int> Experts)
{
    /// <summary>
    /// The stream that may draft for the others: the plus side, other than the base, of the delta with the largest weight. Null if there is no such
    /// stream, if a stream is remote (it returns one row per call), or if there is no other stream whose passes a draft would save.
    /// </summary>
    public int? Drafter { get; } = Streams.Count < 2 || Streams.Any(stream => stream.Model.Info.IsRemote)
        ? null
        : Deltas.Where(delta => delta.Weight > 0 && delta.Plus is not null && delta.Plus != Base).MaxBy(delta => delta.Weight)?.Plus;

    /// <summary>The largest number of tokens to append. All streams stop when the context of one is full.</summary>
    public int MaxAppended(int asked) => Math.Max(0, Math.Min(asked, Streams.Min(stream => stream.Model.Info.ContextLength - stream.Tokens.Length)));

    /// <exception cref="ArgumentException">Plan and prompt differ in their number of streams.</exception>
    /// <exception cref="EngineException">InvalidValue: no stream is left.</exception>
    public static RunningPlan Of(Prompt prompt)
    {
        FusionPlan plan = FusionPlan.Of(prompt);
        if (plan.Streams.Count != prompt.Streams.Count)
        {
            throw new ArgumentException($"{plan.Streams.Count} streams are planned but {prompt.Streams.Count} prompts given.", nameof(prompt));
        }

        List<PlannedStream> merged = [];
        int[] place = new int[plan.Streams.Count];
        for (int i = 0; i < place.Length; i++)
        {
            place[i] = Merge(merged, plan.Streams[i], prompt.Streams[i]);
        }

        FusionDelta[] deltas =
        [
            .. plan.Deltas.Select(delta => delta with { Plus = Place(delta.Plus), Minus = Place(delta.Minus) }).Where(delta => (delta.Weight != 0 || plan.Mask.Kind == MaskKind.Rank) && delta.Plus != delta.Minus),
        ];

        // These need the base's row even if its weight is 0.
        bool looksAtBase = plan.BaseOnlyIds.Count > 0 || plan.Rule is not null || plan.Trace || plan.Mask.Kind != MaskKind.None || plan.Schedule.Kind == ScheduleKind.Gated;
        bool looksAtExperts = plan.DeltaMask is not null || plan.Mask.Kind == MaskKind.TopK || plan.Mask.Of == MaskOrigin.Expert;
        int[] experts = looksAtExperts ? [.. plan.Deltas.Where(delta => delta.Weight != 0 && delta.Plus is > 0).Select(delta => Place(delta.Plus)).OfType<int>().Distinct()] : [];
        int[] used =
        [
            .. Enumerable.Range(0, merged.Count).Where(i =>
                merged[i].Weight != 0 || (looksAtBase && i == place[0]) || experts.Contains(i) || deltas.Any(delta => delta.Plus == i || delta.Minus == i)),
        ];
        return used.Length == 0
            ? throw new EngineException(EngineError.InvalidValue, "All weights are 0, so no model would run.", "fusion")
            : new(
                [.. used.Select(i => merged[i])],
                [.. deltas.Select(delta => delta with { Plus = Index(delta.Plus), Minus = Index(delta.Minus) })],
                Index(place[0]),
                [.. experts.Select(i => Index(i)!.Value)]);

        int? Place(int? stream) => stream is { } i ? place[i] : null;

        int? Index(int? stream) => stream is { } i && Array.IndexOf(used, i) is >= 0 and var index ? index : null;
    }

    private static int Merge(List<PlannedStream> merged, FusionStream stream, ReadOnlyMemory<int> tokens)
    {
        string name = stream.Name.Length > 0 ? stream.Name : stream.ModelName;
        int twin = merged.FindIndex(s => ReferenceEquals(s.Model, stream.Model) && s.Stream.Patch?.Hash == stream.Patch?.Hash && s.Tokens.Span.SequenceEqual(tokens.Span));
        if (twin < 0)
        {
            merged.Add(new(stream, tokens, stream.Weight, [name]));
            return merged.Count - 1;
        }

        merged[twin] = merged[twin] with { Weight = merged[twin].Weight + stream.Weight, Names = [.. merged[twin].Names, name] };
        return twin;
    }
}

/// <param name="Stream">The first of the merged streams. All have its model and patch.</param>
/// <param name="Names">The names of the merged streams in a trace.</param>
internal sealed record PlannedStream(FusionStream Stream, ReadOnlyMemory<int> Tokens, float Weight, IReadOnlyList<string> Names)
{
    public ILanguageModel Model => Stream.Model;
}
