using System.Text.Json.Serialization;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>How the strength moves along the answer, as it is written.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScheduleSettings
{
    private const string ConstantKind = "constant";
    private const string WarmUpKind = "warm_up";
    private const string LinearKind = "linear";
    private const string GatedKind = "gated";
    private const int MaxTokens = 1_000_000;

    public static ScheduleSettings Constant { get; } = new() { Kind = ConstantKind };

    /// <summary>constant, warm_up (0 for the first tokens), linear, or gated (no fusion where base and experts agree and the base is sure).</summary>
    public string? Kind { get; init; }

    /// <summary>warm_up: tokens that are not fused. linear: tokens until the whole strength. At least 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Tokens { get; init; }

    /// <summary>linear: the share of the strength at the first token. 0 (default) to 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? From { get; init; }

    /// <summary>gated: the base's probability from which it counts as sure. Above 0, to 1; default 0.9.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Threshold { get; init; }

    /// <summary>The smallest share of the strength that it will ask for.</summary>
    internal double Lowest => Kind switch
    {
        WarmUpKind or GatedKind => 0,
        LinearKind => From ?? 0,
        _ => 1,
    };

    internal void Check(SettingsProblem problem)
    {
        if (Kind is not (ConstantKind or WarmUpKind or LinearKind or GatedKind))
        {
            throw problem.At("schedule.kind", Kind, $"{ConstantKind}, {WarmUpKind}, {LinearKind} or {GatedKind}");
        }

        if (Kind is WarmUpKind or LinearKind && Tokens is not (>= 1 and <= MaxTokens))
        {
            throw problem.At("schedule.tokens", Tokens, $"an integer from 1 to {MaxTokens}");
        }

        if (From is not (null or (>= 0 and <= 1)))
        {
            throw problem.At("schedule.from", From, "a number from 0 to 1");
        }

        if (Threshold is not (null or (> 0 and <= 1)))
        {
            throw problem.At("schedule.threshold", Threshold, "a number above 0, to 1");
        }

        Foreign(Tokens, "tokens", Kind is WarmUpKind or LinearKind, problem);
        Foreign(From, "from", Kind == LinearKind, problem);
        Foreign(Threshold, "threshold", Kind == GatedKind, problem);
    }

    internal AlphaSchedule ToSchedule() => Kind switch
    {
        WarmUpKind => new(ScheduleKind.WarmUp, Tokens!.Value),
        LinearKind => new(ScheduleKind.Linear, Tokens!.Value, (float)(From ?? 0)),
        GatedKind => new(ScheduleKind.Gated, Threshold: (float)(Threshold ?? 0.9)),
        _ => AlphaSchedule.Constant,
    };

    private void Foreign(object? value, string name, bool belongs, SettingsProblem problem)
    {
        if (value is not null && !belongs)
        {
            throw problem.At($"schedule.{name}", value, $"nothing: schedule '{Kind}' does not take it");
        }
    }
}
