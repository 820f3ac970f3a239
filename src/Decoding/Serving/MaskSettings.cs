using System.Text.Json.Serialization;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>A candidate mask as requests and the catalogue write it: a kind and that kind's fields.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record MaskSettings
{
    internal const string NoneKind = "none";
    internal const string RatioKind = "ratio";
    internal const string NucleusKind = "nucleus";
    internal const string TopKKind = "top_k";
    internal const string DeltaKind = "delta";

    private const string OfBase = "base", OfExpert = "expert", Share = "a number above 0, to 1";

    public static MaskSettings None { get; } = new() { Kind = NoneKind };

    /// <summary>none, ratio, nucleus, top_k, or delta (EFT's own).</summary>
    public string? Kind { get; init; }

    /// <summary>ratio: a candidate has at least this share of the base's largest probability. Above 0, to 1.</summary>
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

    /// <summary>The kinds. EFT's delta mask is not a mask of candidates, so its row has none.</summary>
    internal static KindTable<MaskSettings, CandidateMask> Table { get; } = new(
        "mask",
        [
            new("ratio", mask => mask.Ratio, Share, value => value is > 0.0 and <= 1.0),
            new("p", mask => mask.P, Share, value => value is > 0.0 and <= 1.0),
            new("k", mask => mask.K, "an integer of at least 1", value => value is >= 1),
            new("of", mask => mask.Of, $"{OfBase} or {OfExpert}", value => value is OfBase or OfExpert),
        ],
        [
            new(NoneKind, _ => CandidateMask.None, [], []),
            new(RatioKind, mask => new(MaskKind.Ratio, mask.Ratio!.Value), ["ratio"], []),
            new(NucleusKind, mask => new(MaskKind.Nucleus, mask.P!.Value, mask.Of == OfExpert ? MaskOrigin.Expert : MaskOrigin.Base), ["p"], ["of"]),
            new(TopKKind, mask => new(MaskKind.TopK, mask.K!.Value), ["k"], []),
            new(DeltaKind, _ => CandidateMask.None, ["p"], []),
        ]);

    internal bool IsDelta => Kind == DeltaKind;

    internal void Check(SettingsProblem problem) => Table.Check(this, Kind, problem);

    /// <summary>Refuses a mask that looks at members which the method does not have.</summary>
    internal void CheckFits(SettingsProblem problem, FusionMethod method)
    {
        if (IsDelta && method != FusionMethod.Eft)
        {
            throw problem.At("mask.kind", Kind, $"another mask: '{DeltaKind}' belongs to method {FusionMethod.Eft.Name}, not to {method.Name}");
        }

        if (Of == OfExpert && !method.TakesExperts)
        {
            throw problem.At("mask.of", Of, $"{OfBase}: method {method.Name} has no expert");
        }
    }

    /// <summary>The mask of candidates.</summary>
    internal CandidateMask ToCandidateMask() => Table.Build(this, Kind);

    internal DeltaMask? ToDeltaMask() => IsDelta ? new(P!.Value) : null;
}
