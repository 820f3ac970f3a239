using System.Text.Json.Serialization;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>A candidate mask as it is written: a kind and that kind's one number.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record MaskSettings
{
    internal const string NoneKind = "none";
    internal const string RatioKind = "ratio";
    internal const string NucleusKind = "nucleus";
    internal const string TopKKind = "top_k";
    internal const string DeltaKind = "delta";
    internal const string OfBase = "base";
    internal const string OfExpert = "expert";

    public static MaskSettings None { get; } = new() { Kind = NoneKind };

    /// <summary>none, ratio, nucleus, top_k, or delta (EFT's own).</summary>
    public string? Kind { get; init; }

    /// <summary>ratio: the share of the base's largest probability that a candidate has at least. Above 0, to 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Ratio { get; init; }

    /// <summary>nucleus, delta: the probability that the likeliest candidates reach together. Above 0, to 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? P { get; init; }

    /// <summary>nucleus: whose, base (default) or expert.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Of { get; init; }

    /// <summary>top_k: how many of the base's and of each expert's likeliest tokens are candidates. At least 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? K { get; init; }

    /// <summary>Refuses an unknown kind, a number that the kind does not take, and one out of range.</summary>
    internal void Check(SettingsProblem problem, FusionMethod method)
    {
        switch (Kind)
        {
            case NoneKind:
                break;
            case RatioKind:
                Share(Ratio, "ratio", problem);
                break;
            case NucleusKind or DeltaKind:
                Share(P, "p", problem);
                break;
            case TopKKind when K is null or < 1:
                throw problem.At("mask.k", K, "an integer of at least 1");
            case TopKKind:
                break;
            default:
                throw problem.At("mask.kind", Kind, $"{NoneKind}, {RatioKind}, {NucleusKind}, {TopKKind} or {DeltaKind}");
        }

        Foreign(Ratio, "ratio", Kind == RatioKind, problem);
        Foreign(P, "p", Kind is NucleusKind or DeltaKind, problem);
        Foreign(K, "k", Kind == TopKKind, problem);
        Foreign(Of, "of", Kind == NucleusKind, problem);
        if (Of is not (null or OfBase or OfExpert))
        {
            throw problem.At("mask.of", Of, $"{OfBase} or {OfExpert}");
        }

        if (Kind == DeltaKind && method != FusionMethod.Eft)
        {
            throw problem.At("mask.kind", Kind, $"another mask: '{DeltaKind}' belongs to method {FusionMethod.Eft.Name}, not to {method.Name}");
        }

        if (Of == OfExpert && method.Members is not (MethodMembers.Pairs or MethodMembers.Rewards))
        {
            throw problem.At("mask.of", Of, $"{OfBase}: method {method.Name} has no expert");
        }
    }

    /// <summary>The mask of candidates; EFT's delta mask is none.</summary>
    internal CandidateMask ToCandidateMask() => Kind switch
    {
        RatioKind => new(MaskKind.Ratio, Ratio!.Value),
        NucleusKind => new(MaskKind.Nucleus, P!.Value, Of == OfExpert ? MaskOrigin.Expert : MaskOrigin.Base),
        TopKKind => new(MaskKind.TopK, K!.Value),
        _ => CandidateMask.None,
    };

    internal DeltaMask? ToDeltaMask() => Kind == DeltaKind ? new(P!.Value) : null;

    private static void Share(double? value, string name, SettingsProblem problem)
    {
        if (value is not (> 0 and <= 1))
        {
            throw problem.At($"mask.{name}", value, "a number above 0, to 1");
        }
    }

    private void Foreign(object? value, string name, bool belongs, SettingsProblem problem)
    {
        if (value is not null && !belongs)
        {
            throw problem.At($"mask.{name}", value, $"nothing: mask '{Kind}' does not take it");
        }
    }
}
