using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using ProxyTune.Decoding.Audit;

namespace ProxyTune.Gateway.Audits;

/// <summary>Body of POST /v1/audits. What is absent is as in <see cref="AuditSettings"/>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record AuditRequest
{
    [Required]
    [Description("the name of a served model")]
    public string? Model { get; init; }

    [Required]
    [Description("the name of one of the served model's experts")]
    public string? Expert { get; init; }

    /// <summary>Users' messages to answer in turn. Absent: the untuned model writes one for each text.</summary>
    [Description("an array of at least one string")]
    public IReadOnlyList<string?>? Prompts { get; init; }

    [Range(1, 100)]
    public int? Texts { get; init; }

    [Range(1, 1024)]
    public int? MaxTokens { get; init; }

    [Range(1, 256)]
    public int? Candidates { get; init; }

    [Range(0.0, 10.0)]
    public double? Alpha { get; init; }

    [Range(1e-6, 1.0)]
    [Description("a number from 0.000001 to 1")]
    public double? Plausibility { get; init; }

    [Range(0.0, 10.0)]
    public double? Diversity { get; init; }

    /// <summary>Absent: a random one.</summary>
    public long? Seed { get; init; }
}
