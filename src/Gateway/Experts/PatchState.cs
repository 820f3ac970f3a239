using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>State of a patch on a base.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PatchState>))]
public enum PatchState
{
    /// <summary>It was trained on exactly these weights.</summary>
    [JsonStringEnumMemberName("native")]
    Native,

    /// <summary>It fits, but was trained on other or unknown weights. It is served after it has passed an evaluation, or if an operator asks for it without one.</summary>
    [JsonStringEnumMemberName("ported")]
    Ported,

    /// <summary>It does not fit, or did not pass its evaluation.</summary>
    [JsonStringEnumMemberName("refused")]
    Refused,
}

/// <summary>State of a patch on one base, and why.</summary>
/// <param name="Base">Name of the model folder.</param>
/// <param name="MayServe">Whether it is served without <c>ungated</c>.</param>
/// <param name="Reason">For people to read.</param>
public sealed record PatchFit(string Base, PatchState State, bool MayServe, string Reason)
{
    /// <summary>Why the patch cannot run on the base at all; null if it can.</summary>
    public string? Misfit { get; init; }

    /// <summary>The last port to these weights; null if there was none.</summary>
    public PortRecord? Port { get; init; }
}
