using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Data;

/// <summary>Finds what a settings file names as data: <c>town:...</c> from the built-in generator, or a path to a .jsonl file.</summary>
public static class Sources
{
    private const string Town = "town:";

    private static readonly JsonSerializerOptions LineJson = new(SettingsFile.Json) { WriteIndented = false };

    /// <summary>Documents by index; a file's lines ({"text": ...}) begin again after the last.</summary>
    /// <exception cref="TrainingException">Unknown name, or a file that is missing, empty or broken (names the line).</exception>
    public static Func<long, string> Documents(string source)
    {
        if (source.StartsWith(Town, StringComparison.Ordinal))
        {
            return OfTown(() => TownData.Documents(source));
        }

        string[] texts = Lines<TextLine>(source).Select(line => line.Text).ToArray();
        return index => texts[index % texts.Length];
    }

    /// <summary>
    /// Examples of a source, or of several that are joined by plus signs, one behind the other; a file has lines {"messages": [{"role", "content"}], "answer", "keep" (optional)}.
    /// A file whose own name contains a plus sign can be named alone, but not joined.
    /// </summary>
    /// <exception cref="TrainingException">As <see cref="Documents"/>; names the part.</exception>
    public static IReadOnlyList<Example> Examples(string source) =>
        File.Exists(source) ? Part(source) : [.. source.Split('+').SelectMany(Part)];

    /// <summary>SHA-256 over the examples of a source, each as a line of JSON, lower-case hex.</summary>
    public static string Hash(string source) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Concat(Examples(source).Select(example => JsonSerializer.Serialize(example, LineJson) + "\n")))));

    private static IReadOnlyList<Example> Part(string source) =>
        source.StartsWith(Town, StringComparison.Ordinal) ? OfTown(() => TownData.Examples(source)) : Lines<Example>(source);

    private sealed record TextLine(string Text);

    private static T OfTown<T>(Func<T> find)
    {
        try
        {
            return find();
        }
        catch (ArgumentException error)
        {
            throw new TrainingException(error.Message, error);
        }
    }

    private static T[] Lines<T>(string path)
    {
        if (!File.Exists(path))
        {
            throw new TrainingException($"data '{path}': no such file; a source is a path to a .jsonl file or begins with '{Town}'.");
        }

        T[] lines = File.ReadLines(path).Index().Where(line => line.Item.Length > 0).Select(line =>
        {
            try
            {
                return JsonSerializer.Deserialize<T>(line.Item, SettingsFile.Json) ?? throw new TrainingException($"{path}, line {line.Index + 1}: the line is null; accepted is an object.");
            }
            catch (JsonException error)
            {
                throw new TrainingException($"{path}, line {line.Index + 1}, {JsonProblem.Reason(error, Encoding.UTF8.GetBytes(line.Item), SettingsFile.Json.GetTypeInfo(typeof(T)))}", error);
            }
        }).ToArray();
        return lines.Length > 0 ? lines : throw new TrainingException($"{path}: has no lines.");
    }
}
