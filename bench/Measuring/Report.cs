using System.Text;

namespace ProxyTune.Measuring;

/// <summary>A Markdown report that is printed while it is written.</summary>
public sealed class Report
{
    private readonly StringBuilder text = new();

    public void Line(string line = "")
    {
        Console.WriteLine(line);
        text.Append(line).Append('\n');
    }

    public void Table(string title, string[] header, params string[][] rows)
    {
        Line($"### {title}");
        Line();
        Line(Row(header));
        Line(Row([.. header.Select((_, i) => i == 0 ? "---" : "---:")]));
        foreach (string[] row in rows)
        {
            Line(Row(row));
        }

        Line();
    }

    public override string ToString() => text.ToString();

    /// <summary>Replaces the part of a document between the two markers with that name.</summary>
    public void WriteInto(string path, string name)
    {
        string opening = $"<!-- {name}: begin -->", closing = $"<!-- {name}: end -->";
        string document = File.ReadAllText(path);
        int begin = document.IndexOf(opening, StringComparison.Ordinal), end = document.IndexOf(closing, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
        {
            throw new InvalidDataException($"{path} lacks the lines {opening} and {closing}.");
        }

        File.WriteAllText(path, $"{document[..begin]}{opening}\n\n{text.ToString().Trim()}\n\n{document[end..]}");
    }

    private static string Row(string[] cells) => $"| {string.Join(" | ", cells)} |";
}
