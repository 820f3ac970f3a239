using System.ComponentModel.DataAnnotations;
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
    internal const string RankKind = "rank";

    private const int UsualRank = 20;
    private const string OfBase = "base", OfExpert = "expert", Share = "a number above 0, to 1";

    public static MaskSettings None { get; } = new() { Kind = NoneKind };

    /// <summary>none, ratio, nucleus, top_k, delta (EFT's own), or rank (of method divergence).</summary>
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

    /// <summary>
    /// top_k: how many of the base's and of each expert's likeliest tokens are candidates. At least 1.
    /// rank: how many tokens are banned, those that a forget model raises most over its retain model. At least 1; default 20.
    /// </summary>
    [Range(1, int.MaxValue)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? K { get; init; }

    /// <summary>The kinds. EFT's delta mask is not a mask of candidates, so its row has none.</summary>
    internal static KindTable<MaskSettings, CandidateMask> Table { get; } = new(
        "mask",
        [
            new("ratio", mask => mask.Ratio, Share, value => value is > 0.0 and <= 1.0),
            new("p", mask => mask.P, Share, value => value is > 0.0 and <= 1.0),
            new("k", mask => mask.K, $"an integer of at least 1, and at most {int.MaxValue}", value => value is >= 1),
            new("of", mask => mask.Of, $"{OfBase} or {OfExpert}", value => value is OfBase or OfExpert),
        ],
        [
            new(NoneKind, _ => CandidateMask.None, [], []),
            new(RatioKind, mask => new(MaskKind.Ratio, mask.Ratio!.Value), ["ratio"], []),
            new(NucleusKind, mask => new(MaskKind.Nucleus, mask.P!.Value, mask.Of == OfExpert ? MaskOrigin.Expert : MaskOrigin.Base), ["p"], ["of"]) { Fill = mask => mask with { Of = mask.Of ?? OfBase } },
            new(TopKKind, mask => new(MaskKind.TopK, mask.K!.Value), ["k"], []),
            new(DeltaKind, _ => CandidateMask.None, ["p"], []),
            new(RankKind, mask => new(MaskKind.Rank, mask.K!.Value), [], ["k"]) { Fill = mask => mask with { K = mask.K ?? UsualRank } },
        ]);

    internal bool IsDelta => Kind == DeltaKind;

    internal void Check(SettingsProblem problem) => Table.Check(this, Kind, problem);

    /// <summary>Refuses a mask that looks at members which the method does not have.</summary>
    internal void CheckFits(SettingsProblem problem, FusionMethod method)
    {
        FusionMethod? owner = Kind switch { DeltaKind => FusionMethod.Eft, RankKind => FusionMethod.Divergence, _ => null };
        if (owner is not null && owner != method)
        {
            throw problem.At("mask.kind", Kind, $"another mask: '{Kind}' belongs to method {owner.Name}, not to {method.Name}");
        }

        if (Of == OfExpert && !method.TakesExperts)
        {
            throw problem.At("mask.of", Of, $"{OfBase}: method {method.Name} has no expert");
        }
    }

    /// <summary>This mask with its kind's defaults.</summary>
    internal MaskSettings WithDefaults() => Table.WithDefaults(this, Kind);

    /// <summary>The mask of candidates.</summary>
    internal CandidateMask ToCandidateMask() => Table.Build(this, Kind);

    internal DeltaMask? ToDeltaMask() => IsDelta ? new(P!.Value) : null;
}

/// <summary>How the strength changes along the answer, as requests and the catalogue write it.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScheduleSettings
{
    private const string ConstantKind = "constant";
    private const string WarmUpKind = "warm_up";
    private const string LinearKind = "linear";
    private const string GatedKind = "gated";
    private const int MaxTokens = 1_000_000;
    private const double UsualThreshold = 0.9;

    public static ScheduleSettings Constant { get; } = new() { Kind = ConstantKind };

    /// <summary>constant, warm_up (0 for the first tokens), linear, or gated (no fusion where base and experts agree and the base is sure).</summary>
    public string? Kind { get; init; }

    /// <summary>warm_up: tokens that are not fused. linear: tokens until the whole strength. At least 1.</summary>
    [Range(1, MaxTokens)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Tokens { get; init; }

    /// <summary>linear: the share of the strength at the first token. 0 (default) to 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? From { get; init; }

    /// <summary>gated: the base's probability from which it counts as sure. Above 0, to 1; default 0.9.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Threshold { get; init; }

    internal static KindTable<ScheduleSettings, AlphaSchedule> Table { get; } = new(
        "schedule",
        [
            new("tokens", schedule => schedule.Tokens, $"an integer from 1 to {MaxTokens}", value => value is >= 1 and <= MaxTokens),
            new("from", schedule => schedule.From, "a number from 0 to 1", value => value is >= 0.0 and <= 1.0),
            new("threshold", schedule => schedule.Threshold, "a number above 0, to 1", value => value is > 0.0 and <= 1.0),
        ],
        [
            new(ConstantKind, _ => AlphaSchedule.Constant, [], []),
            new(WarmUpKind, schedule => new(ScheduleKind.WarmUp, schedule.Tokens!.Value), ["tokens"], []),
            new(LinearKind, schedule => new(ScheduleKind.Linear, schedule.Tokens!.Value, (float)schedule.From!.Value), ["tokens"], ["from"]) { Fill = schedule => schedule with { From = schedule.From ?? 0 } },
            new(GatedKind, schedule => new(ScheduleKind.Gated, Threshold: (float)schedule.Threshold!.Value), [], ["threshold"]) { Fill = schedule => schedule with { Threshold = schedule.Threshold ?? UsualThreshold } },
        ]);

    /// <summary>The smallest share of the strength along an answer.</summary>
    internal double Lowest => Kind switch
    {
        WarmUpKind or GatedKind => 0,
        LinearKind => From ?? 0,
        _ => 1,
    };

    internal void Check(SettingsProblem problem) => Table.Check(this, Kind, problem);

    /// <summary>This schedule with its kind's defaults.</summary>
    internal ScheduleSettings WithDefaults() => Table.WithDefaults(this, Kind);

    internal AlphaSchedule ToSchedule() => Table.Build(this, Kind);
}

/// <summary>A field of an object that has a kind, such as a mask.</summary>
/// <param name="Accepts">Type and range, in words.</param>
/// <param name="IsValid">Whether a value lies in the range.</param>
internal sealed record KindField<T>(string Name, Func<T, object?> Get, string Accepts, Func<object, bool> IsValid);

/// <summary>A row of a table of kinds.</summary>
/// <param name="Build">Makes the engine's form of it, with the defaults filled in.</param>
/// <param name="Required">Names of the fields that must be given.</param>
/// <param name="Optional">Names of the fields that may be given.</param>
internal sealed record Kind<T, TEngine>(string Name, Func<T, TEngine> Build, string[] Required, string[] Optional)
{
    /// <summary>Gives optional fields their defaults.</summary>
    public Func<T, T> Fill { get; init; } = settings => settings;
}

/// <summary>The kinds of an object and their fields: a new kind is one row.</summary>
/// <param name="name">Of the object, such as mask.</param>
internal sealed class KindTable<T, TEngine>(string name, IReadOnlyList<KindField<T>> fields, IReadOnlyList<Kind<T, TEngine>> kinds)
{
    public IReadOnlyList<Kind<T, TEngine>> Kinds => kinds;

    /// <summary>Refuses an unknown kind, a field that the kind does not take, a missing field, and a value out of range.</summary>
    public void Check(T settings, string? kind, SettingsProblem problem)
    {
        Kind<T, TEngine> row = kinds.FirstOrDefault(row => row.Name == kind) ?? throw problem.At($"{name}.kind", kind, Words());
        foreach (KindField<T> field in fields)
        {
            object? value = field.Get(settings);
            bool isRequired = row.Required.Contains(field.Name);
            if (value is not null && !isRequired && !row.Optional.Contains(field.Name))
            {
                throw problem.At($"{name}.{field.Name}", value, $"nothing: {name} '{kind}' does not take it");
            }

            if (value is null ? isRequired : !field.IsValid(value))
            {
                throw problem.At($"{name}.{field.Name}", value, field.Accepts);
            }
        }
    }

    /// <summary>The settings with the kind's defaults.</summary>
    public T WithDefaults(T settings, string? kind) => Row(kind).Fill(settings);

    public TEngine Build(T settings, string? kind) => Row(kind).Build(WithDefaults(settings, kind));

    private Kind<T, TEngine> Row(string? kind) => kinds.First(row => row.Name == kind);

    private string Words() => $"{string.Join(", ", kinds.SkipLast(1).Select(row => row.Name))} or {kinds[^1].Name}";
}
