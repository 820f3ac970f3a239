using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Experts;

/// <summary>What an upload is.</summary>
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
/// <param name="Id">As the operator named it: lower-case letters, digits, and ._- inside, at most 64.</param>
/// <param name="Content">SHA-256 over the list of <paramref name="Files"/>, and the name of their folder; equal for equal uploads.</param>
/// <param name="Bytes">Of all files.</param>
/// <param name="Files">SHA-256 by file name, lower-case hex.</param>
/// <param name="Created">When it was committed.</param>
public sealed record ExpertRecord(
    string Id, ExpertKind Kind, string Content, long Bytes, IReadOnlyDictionary<string, string> Files, DateTimeOffset Created);
