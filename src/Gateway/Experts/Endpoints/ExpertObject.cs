using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>The form of POST /v1/experts, for the API's description.</summary>
/// <param name="Id">Id of the expert: 1 to 64 of a-z 0-9 . _ -</param>
/// <param name="File">Files under their own names, or one .zip with them.</param>
/// <param name="Blob">Files that were uploaded before: NAME=sha256:HASH.</param>
internal sealed record ExpertForm(string Id, IFormFileCollection? File, IReadOnlyList<string>? Blob);

/// <param name="Data">Sorted by id.</param>
/// <param name="Bytes">Size of all experts and unfinished uploads.</param>
/// <param name="MaxBytes">Largest accepted size of them.</param>
internal sealed record ExpertList(IReadOnlyList<ExpertObject> Data, long Bytes, long MaxBytes)
{
    public string Object { get; } = "list";
}

/// <summary>An uploaded expert.</summary>
/// <param name="Kind">patch or model.</param>
/// <param name="Content">SHA-256 over the list of its files, as sha256sum prints it.</param>
/// <param name="Files">SHA-256 of each file by its name.</param>
/// <param name="Created">Seconds since 1970.</param>
/// <param name="Served">Names under which it is served.</param>
internal sealed record ExpertObject(
    string Id, string Kind, string Content, long Bytes, IReadOnlyDictionary<string, string> Files, long Created, IReadOnlyList<ExpertServed> Served)
{
    public string Object { get; } = "expert";

    /// <summary>State of a patch on each base; only in the answer about one expert.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ExpertFit>? Fits { get; init; }

    /// <summary>Whether a port is running; only in the answer about one expert.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Checking { get; init; }

    /// <summary>Why the last evaluation since the start could not run; absent otherwise.</summary>
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

/// <param name="Base">Name of its base's model folder.</param>
/// <param name="Since">Seconds since 1970.</param>
/// <param name="Ungated">Whether it is served without an evaluation.</param>
internal sealed record ExpertServed(string Name, string Base, long Since, bool Ungated)
{
    /// <summary>Why it could not be served again after the last start; absent otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Failure { get; init; }
}

/// <param name="State">native, ported or refused.</param>
/// <param name="MayServe">Whether it is served there without ungated.</param>
internal sealed record ExpertFit(string Base, string State, bool MayServe, string Reason)
{
    /// <summary>The last port to these weights; absent if there was none.</summary>
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
