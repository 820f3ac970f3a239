using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Gateway.Experts;

/// <summary>The form of POST /v1/experts/{id}/port, for the API's description.</summary>
/// <param name="Base">Name of the model folder to port to.</param>
/// <param name="Task">Examples, a .jsonl file.</param>
/// <param name="AtLeast">The share of the donor's gain that has to be kept, 0 to 1; default 0.9.</param>
/// <param name="Name">A served model of the patch, to be moved to the base when it passes.</param>
/// <param name="Wait">Whether to answer only when the port has ended.</param>
internal sealed record PortForm(string Base, IFormFile Task, double? AtLeast, string? Name, bool? Wait);

/// <summary>Result of a port, or that it is running.</summary>
/// <param name="State">checking, native, ported or refused.</param>
internal sealed record PortObject(string Id, string Base, string State)
{
    public string Object { get; } = "expert.port";

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Reason { get; init; }

    /// <summary>Seconds since 1970.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Created { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PortScores? Scores { get; init; }

    /// <summary>The update compared with the base's weights and with what changed in them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UpdateDiagnostics? Diagnostics { get; init; }

    /// <summary>The served model that was moved to the base.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Moved { get; init; }

    public static PortObject Running(string id, string folder) => new(id, folder, "checking");

    public static PortObject Of(PortRecord port) => new(port.Expert, port.Base, NameOf(port.State))
    {
        Reason = port.Reason,
        Created = port.At.ToUnixTimeSeconds(),
        Scores = port.Scores,
        Diagnostics = port.Diagnostics,
        Moved = port.Moved,
    };

    public static string NameOf(PatchState state) => state switch
    {
        PatchState.Native => "native",
        PatchState.Ported => "ported",
        _ => "refused",
    };
}
