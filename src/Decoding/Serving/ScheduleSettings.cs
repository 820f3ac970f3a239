using System.Text.Json.Serialization;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Serving;

/// <summary>How the strength changes along the answer, as requests and the catalogue write it.</summary>
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
            new(LinearKind, schedule => new(ScheduleKind.Linear, schedule.Tokens!.Value, (float)(schedule.From ?? 0)), ["tokens"], ["from"]),
            new(GatedKind, schedule => new(ScheduleKind.Gated, Threshold: (float)(schedule.Threshold ?? 0.9)), [], ["threshold"]),
        ]);

    /// <summary>The smallest share of the strength along an answer.</summary>
    internal double Lowest => Kind switch
    {
        WarmUpKind or GatedKind => 0,
        LinearKind => From ?? 0,
        _ => 1,
    };

    internal void Check(SettingsProblem problem) => Table.Check(this, Kind, problem);

    internal AlphaSchedule ToSchedule() => Table.Build(this, Kind);
}
