using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>How a patch stands to a base.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PatchState>))]
public enum PatchState
{
    /// <summary>It was trained on exactly these weights.</summary>
    [JsonStringEnumMemberName("native")]
    Native,

    /// <summary>It fits, but was trained on other weights, or does not say on which: served when it has passed an evaluation, or where an operator wants it so.</summary>
    [JsonStringEnumMemberName("ported")]
    Ported,

    /// <summary>It does not fit, or did not pass.</summary>
    [JsonStringEnumMemberName("refused")]
    Refused,
}

/// <summary>How a patch stands to one base, and why.</summary>
/// <param name="Base">Name of the model folder.</param>
/// <param name="MayServe">Whether it is served without <c>ungated</c>.</param>
/// <param name="Reason">For people.</param>
public sealed record PatchFit(string Base, PatchState State, bool MayServe, string Reason)
{
    /// <summary>Why it cannot run on the base at all; null where it can.</summary>
    public string? Misfit { get; init; }

    /// <summary>The last evaluation on these weights, where there was one.</summary>
    public PortRecord? Port { get; init; }
}
