using System.Text.Json.Serialization;

namespace ProxyTune.Decoding.Serving;

/// <summary>What a request may change of a served model's fusion, and, filled in, what was applied. Null keeps the served model's own.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record FusionSettings
{
    public static FusionSettings Default { get; } = new();

    /// <summary>Name of a <see cref="FusionMethod"/>, among those that the served model offers.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Method { get; init; }

    /// <summary>The method's strength: a of proxy-tuning, b of EFT, c of contrastive decoding. Not for none and dynamic.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Alpha { get; init; }

    /// <summary>Weights by expert name, replacing the defaults; experts not named keep theirs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Experts { get; init; }

    /// <summary>eft: divide the experts' weights by their sum, which must otherwise be 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Normalise { get; init; }

    /// <summary>eft: g, how much the large base's own difference from the small one counts. 1 is plain up-scaling.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Amplification { get; init; }

    /// <summary>dynamic: single (the paper's one expert per token) or joint (a weight for each expert).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Mode { get; init; }

    /// <summary>dynamic: closed_form, or grid (the paper's 21 points).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Search { get; init; }

    /// <summary>dynamic: the least weight that it gives, from 0 (the paper's) to the top of the range of alpha.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Floor { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MaskSettings? Mask { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ScheduleSettings? Schedule { get; init; }

    /// <summary>By role (base, expert, anti_expert): how its streams read a conversation.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, PromptSettings>? Prompts { get; init; }

    /// <summary>Report for every token how it came about.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Trace { get; init; }
}
