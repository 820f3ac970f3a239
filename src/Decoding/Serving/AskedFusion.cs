using System.Text.Json.Serialization;

namespace ProxyTune.Decoding.Serving;

/// <summary>The fields that requests and entries of the catalogue share. <see cref="FusionTable"/> says what each means and accepts. Null is not given.</summary>
public abstract record FusionSettings
{
    [JsonPropertyOrder(-3)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Method { get; init; }

    [JsonPropertyOrder(-2)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Alpha { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Normalise { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Amplification { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Mode { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Search { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Floor { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MaskSettings? Mask { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ScheduleSettings? Schedule { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, PromptSettings>? Prompts { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Trace { get; init; }
}

/// <summary>What a request asks for: the <c>fusion</c> of its body, or the header X-Fusion. Where it is null, the served model's own settings apply.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record AskedFusion : FusionSettings
{
    public static AskedFusion Nothing { get; } = new();

    /// <summary>Weights by the names of experts. An expert that is not named keeps its own weight.</summary>
    [JsonPropertyOrder(-1)]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Experts { get; init; }

    /// <summary>These fields, and those of <paramref name="other"/> where these are null; the same for each expert.</summary>
    public AskedFusion Over(AskedFusion other) => FusionTable.Fields.Aggregate(
        this with { Experts = Experts is null || other.Experts is null ? Experts : new Dictionary<string, double>([.. other.Experts.ExceptBy(Experts.Keys, expert => expert.Key), .. Experts]) },
        (merged, field) => field.Get(merged) is null ? field.With(merged, field.Get(other)) : merged);
}
