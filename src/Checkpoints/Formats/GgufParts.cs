using System.Globalization;
using System.Text.RegularExpressions;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// Opens the parts of a split file, <c>NAME-00001-of-00003.gguf</c> and so on. The first has the metadata; each has its number, the number of
/// parts and the number of all tensors (llama.cpp, tools/gguf-split).
/// </summary>
internal static partial class GgufParts
{
    private const string Number = "split.no";
    private const string Count = "split.count";
    private const string Tensors = "split.tensors.count";

    private const int MaxParts = 99_999;

    /// <param name="path">The only part or the first.</param>
    public static IReadOnlyList<GgufPart> Open(string path)
    {
        List<GgufPart> parts = [GgufPart.Open(path, 0)];
        try
        {
            GgufMetadata metadata = parts[0].Header.Metadata;
            int count = metadata.FindInteger(Count, 0, MaxParts) ?? 0;
            Match name = PartName().Match(Path.GetFileName(path));
            if (count <= 1)
            {
                return !name.Success || name.Groups["count"].Value == "00001" ? parts
                    : throw metadata.Wrong(Count, $"{int.Parse(name.Groups["count"].Value, CultureInfo.InvariantCulture)}, as the file's name says");
            }

            string expected = Named(name.Success ? name.Groups["base"].Value : "NAME", 1, count);
            if (!name.Success || Path.GetFileName(path) != expected)
            {
                throw EngineException.InFile(path, $"{Count} is {count} and the file is called {Path.GetFileName(path)}; accepted is the first part under its name, {expected}.", Count);
            }

            CheckNumber(metadata, 0);
            for (int part = 1; part < count; part++)
            {
                parts.Add(Open(path, Named(name.Groups["base"].Value, part + 1, count), part, count));
            }

            int tensors = parts.Sum(part => part.Header.Tensors.Count);
            foreach (GgufPart part in parts)
            {
                CheckTensors(part, tensors, count);
            }

            return parts;
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    private static GgufPart Open(string first, string name, int number, int count)
    {
        string path = Path.Combine(Path.GetDirectoryName(first) ?? "", name);
        if (!File.Exists(path))
        {
            throw EngineException.InFile(first, $"{Count} is {count}, but the part {name} is missing beside it; accepted are all {count} parts in one folder.", Count);
        }

        GgufPart part = GgufPart.Open(path, number);
        try
        {
            CheckNumber(part.Header.Metadata, number);
            return part.Header.Metadata.Integer(Count) == count ? part : throw part.Header.Metadata.Wrong(Count, $"{count}, as in the first part");
        }
        catch
        {
            part.Dispose();
            throw;
        }
    }

    private static void CheckNumber(GgufMetadata metadata, int number)
    {
        if (metadata.Integer(Number) != number)
        {
            throw metadata.Wrong(Number, $"{number}, since parts count from 0");
        }
    }

    private static void CheckTensors(GgufPart part, int tensors, int parts)
    {
        if (part.Header.Metadata.FindInteger(Tensors) is { } claimed && claimed != tensors)
        {
            throw part.Header.Metadata.Wrong(Tensors, $"{tensors}, as many as the {parts} parts hold");
        }
    }

    private static string Named(string name, int part, int count) => string.Create(CultureInfo.InvariantCulture, $"{name}-{part:D5}-of-{count:D5}.gguf");

    [GeneratedRegex(@"^(?<base>.*)-(?<part>\d{5})-of-(?<count>\d{5})\.gguf$")]
    private static partial Regex PartName();
}
