using System.Text;

namespace ProxyTune.Bench;

/// <summary>Markdown, printed as it grows.</summary>
internal sealed class Report
{
    private const string Begin = "<!-- measured: begin -->";
    private const string End = "<!-- measured: end -->";

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

    /// <summary>Replaces what stands between the markers.</summary>
    public void WriteInto(string path)
    {
        string document = File.ReadAllText(path);
        int begin = document.IndexOf(Begin, StringComparison.Ordinal), end = document.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
        {
            throw new InvalidDataException($"{path} lacks the lines {Begin} and {End}.");
        }

        File.WriteAllText(path, $"{document[..begin]}{Begin}\n\n{text.ToString().Trim()}\n\n{document[end..]}");
    }

    private static string Row(string[] cells) => $"| {string.Join(" | ", cells)} |";
}
