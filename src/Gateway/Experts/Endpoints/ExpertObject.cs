using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>The form of POST /v1/experts, for the API's description.</summary>
/// <param name="Id">What the expert will be called: 1 to 64 of a-z 0-9 . _ -</param>
/// <param name="File">Files under their own names, or one .zip with them.</param>
/// <param name="Blob">Files that were uploaded before: NAME=sha256:HASH.</param>
internal sealed record ExpertForm(string Id, IFormFileCollection? File, IReadOnlyList<string>? Blob);

/// <param name="Data">In the order of their ids.</param>
/// <param name="Bytes">That all experts and unfinished uploads take.</param>
/// <param name="MaxBytes">That they may take.</param>
internal sealed record ExpertList(IReadOnlyList<ExpertObject> Data, long Bytes, long MaxBytes)
{
    public string Object { get; } = "list";
}

/// <summary>An uploaded expert.</summary>
/// <param name="Kind">patch or model.</param>
/// <param name="Content">SHA-256 over the list of its files, as sha256sum prints it.</param>
/// <param name="Files">SHA-256 by name.</param>
/// <param name="Created">Seconds since 1970.</param>
/// <param name="Served">What clients can ask for of it.</param>
internal sealed record ExpertObject(
    string Id, string Kind, string Content, long Bytes, IReadOnlyDictionary<string, string> Files, long Created, IReadOnlyList<ExpertServed> Served)
{
    public string Object { get; } = "expert";

    /// <summary>How a patch stands to each base; only where one expert is asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ExpertFit>? Fits { get; init; }

    /// <summary>Whether it is being ported; only where one expert is asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Checking { get; init; }

    /// <summary>Why the last evaluation since the start could not be run, where that is so.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Failure { get; init; }

    public static ExpertObject Of(ExpertRecord expert, ExpertRegistry registry) => new(
        expert.Id,
        expert.Kind == ExpertKind.Patch ? "patch" : "model",
        expert.Content,
        expert.Bytes,
        expert.Files,
        expert.Created.ToUnixTimeSeconds(),
        [.. registry.ServedOf(expert.Id).Select(served => new ExpertServed(served.Name, served.Base, served.Since.ToUnixTimeSeconds(), served.Ungated) { Failure = served.Failure })]);
}

/// <param name="Base">Name of the model folder under it.</param>
/// <param name="Since">Seconds since 1970.</param>
/// <param name="Ungated">Served without an evaluation.</param>
internal sealed record ExpertServed(string Name, string Base, long Since, bool Ungated)
{
    /// <summary>Why it is not served any more, where that is so since the last start.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Failure { get; init; }
}

/// <param name="State">native, ported or refused.</param>
/// <param name="MayServe">Whether it is served there without ungated.</param>
internal sealed record ExpertFit(string Base, string State, bool MayServe, string Reason)
{
    /// <summary>The last port to these weights, where there was one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PortObject? Port { get; init; }

    public static ExpertFit Of(PatchFit fit) =>
        new(fit.Base, PortObject.NameOf(fit.State), fit.MayServe, fit.Reason) { Port = fit.Port is { } port ? PortObject.Of(port) : null };
}

internal sealed record ExpertDeleted(string Id)
{
    public string Object { get; } = "expert";

    public bool Deleted { get; } = true;
}
