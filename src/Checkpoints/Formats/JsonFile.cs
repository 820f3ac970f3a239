using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Reads JSON files as types.</summary>
internal static class JsonFile
{
    private static readonly byte[] ByteOrderMark = [0xEF, 0xBB, 0xBF];

    /// <summary>What is said about a file whose <see cref="Text"/> is null.</summary>
    public const string NotUtf8 = "holds bytes that are not UTF-8; accepted is JSON in UTF-8.";

    /// <summary>How files are written.</summary>
    public static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <param name="error">The kind of error for a file that cannot be read as that type.</param>
    /// <exception cref="EngineException">Of that kind; names the file, the line, the field, its value and what is accepted.</exception>
    public static T Read<T>(string path, JsonTypeInfo<T> type, EngineError error = EngineError.InvalidModelFolder)
        where T : class
    {
        byte[] json = Bytes(path, error);
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw EngineException.InFile(path, "the content is null; accepted is an object.", error: error);
        }
        catch (JsonException problem)
        {
            throw EngineException.InFile(path, $"line {problem.LineNumber + 1}, {JsonProblem.Reason(problem, json, type)}", inner: problem, error: error);
        }
    }

    /// <summary>What a file holds, without the byte order mark that some editors write (RFC 8259, 8.1).</summary>
    /// <exception cref="EngineException">Of that kind: the file is missing or cannot be read.</exception>
    public static byte[] Bytes(string path, EngineError error = EngineError.InvalidModelFolder)
    {
        try
        {
            return Text(File.ReadAllBytes(path)) ?? throw EngineException.InFile(path, $"the file {NotUtf8}", error: error);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw EngineException.InFile(path, problem.Message, inner: problem, error: error);
        }
    }

    /// <summary>The same for bytes of a file that was read; null if they are not UTF-8.</summary>
    public static byte[]? Text(byte[] file) =>
        !Utf8.IsValid(file) ? null
        : file.AsSpan().StartsWith(ByteOrderMark) ? file[ByteOrderMark.Length..]
        : file;
}
