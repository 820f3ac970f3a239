namespace ProxyTune.Decoding.Fusion;

public enum ScheduleKind
{
    Constant,

    /// <summary>0 for the first tokens, then the whole weight.</summary>
    WarmUp,

    /// <summary>From a first share of the weight to the whole of it, in equal steps.</summary>
    Linear,

    /// <summary>0 where base and experts agree on the likeliest token and the base is sure of it.</summary>
    Gated,
}

/// <summary>How the weight of all deltas moves along the answer.</summary>
/// <param name="Tokens">WarmUp: how many tokens are not fused. Linear: after how many the whole weight is reached.</param>
/// <param name="From">Linear: the share of the weight at the first token; 0 to 1.</param>
/// <param name="Threshold">Gated: the base's probability from which it counts as sure; 0 to 1.</param>
public sealed record AlphaSchedule(ScheduleKind Kind, int Tokens = 0, float From = 0, float Threshold = 1)
{
    public static AlphaSchedule Constant { get; } = new(ScheduleKind.Constant);

    /// <param name="position">Index of the token within the answer, from 0.</param>
    public float Factor(int position) => Kind switch
    {
        ScheduleKind.WarmUp => position < Tokens ? 0 : 1,
        ScheduleKind.Linear => position >= Tokens ? 1 : From + ((1 - From) * position / Tokens),
        _ => 1,
    };
}
