using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>Body of POST /v1/experts/{id}/serve, see <see cref="ServeSettings"/>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ServeRequest
{
    [Description("the name that clients will ask for, a string")]
    public string? Name { get; init; }

    [Description("the name of a model folder")]
    public string? Base { get; init; }

    [Range(-1000.0, 1000.0)]
    public double? Weight { get; init; }

    [Description("an object of weights by the names of patches")]
    public IReadOnlyDictionary<string, double>? Patches { get; init; }

    public bool? Ungated { get; init; }

    [Description("an entry as in catalog.json, an object")]
    public JsonElement? Entry { get; init; }
}

/// <summary>Body of POST /v1/experts/{id}/retire.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RetireRequest
{
    /// <summary>Absent: all names under which the expert is served.</summary>
    [Description("a name under which the expert is served, a string")]
    public string? Name { get; init; }
}

/// <param name="Names">The retired names. New requests do not find them.</param>
internal sealed record RetireAnswer(string Id, IReadOnlyList<string> Names)
{
    public string Object { get; } = "expert.retired";
}
