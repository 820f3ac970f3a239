using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>The kinds of uploads.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ExpertKind>))]
public enum ExpertKind
{
    /// <summary>A low-rank update in PEFT's layout.</summary>
    [JsonStringEnumMemberName("patch")]
    Patch,

    /// <summary>A decoder in the layout of onnxruntime-genai.</summary>
    [JsonStringEnumMemberName("model")]
    Model,
}

/// <summary>One uploaded expert.</summary>
/// <param name="Id">Chosen by the operator: at most 64 lower-case letters, digits and ._-, with a letter or digit first.</param>
/// <param name="Content">SHA-256 over the list of <paramref name="Files"/>, and the name of their folder; equal for equal uploads.</param>
/// <param name="Bytes">Size of all files.</param>
/// <param name="Files">SHA-256 of each file by its name, lower-case hex.</param>
/// <param name="Created">When it was committed.</param>
public sealed record ExpertRecord(
    string Id, ExpertKind Kind, string Content, long Bytes, IReadOnlyDictionary<string, string> Files, DateTimeOffset Created);
