using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Data;

/// <summary>Finds the data that a settings file names: a source of built-in data, or the path of a .jsonl file.</summary>
public static class Sources
{
    private static ImmutableArray<BuiltInData> builtIn = [];

    private static readonly JsonSerializerOptions LineJson = new(SettingsFile.Json) { WriteIndented = false };

    /// <summary>Adds built-in data. The program calls it at the start, before any source is read. Data that was added before is not added again.</summary>
    public static void Add(BuiltInData data) => ImmutableInterlocked.Update(ref builtIn, known => known.Contains(data) ? known : known.Add(data));

    /// <summary>Opens documents by index. The lines of a file ({"text": ...}) repeat after the last one.</summary>
    /// <exception cref="TrainingException">The name is unknown, or the file is missing, empty or broken; the message names the line.</exception>
    public static Func<long, string> Documents(string source)
    {
        if (Find(source) is { } data)
        {
            return Known(() => data.Documents(source));
        }

        string[] texts = Lines<TextLine>(source).Select(line => line.Text).ToArray();
        return index => texts[index % texts.Length];
    }

    /// <summary>
    /// Reads the examples of a source, or of several sources that are joined by plus signs, in this order. A line of a file is
    /// {"messages": [{"role", "content"}], "answer", "keep" (optional)}. A file with a plus sign in its name can be named alone, but not joined.
    /// </summary>
    /// <exception cref="TrainingException">As for <see cref="Documents"/>; the message names the part.</exception>
    public static IReadOnlyList<Example> Examples(string source) =>
        File.Exists(source) ? Part(source) : [.. source.Split('+').SelectMany(Part)];

    /// <summary>SHA-256 over the examples of a source, each as a line of JSON, lower-case hex.</summary>
    public static string Hash(string source) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Concat(Examples(source).Select(example => JsonSerializer.Serialize(example, LineJson) + "\n")))));

    private static IReadOnlyList<Example> Part(string source) =>
        Find(source) is { } data ? Known(() => data.Examples(source)) : Lines<Example>(source);

    private static BuiltInData? Find(string source) => builtIn.FirstOrDefault(data => source.StartsWith(data.Prefix, StringComparison.Ordinal));

    private sealed record TextLine(string Text);

    private static T Known<T>(Func<T> find)
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
            throw new TrainingException($"data '{path}': no such file; accepted is a path to a .jsonl file{string.Concat(builtIn.Select(data => $", or a source that begins with '{data.Prefix}'"))}.");
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
