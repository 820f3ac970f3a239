using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Architecture.Tests;

/// <summary>Reads the order of the rooms and the lists of files in docs/architecture.md.</summary>
internal static partial class ArchitectureDocument
{
    private static readonly string Text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "architecture.md"));

    /// <summary>The rooms of a project in order, from the first column of the table under its heading. A room may use only the rooms before it.</summary>
    public static IReadOnlyList<string> Rooms(string project) => [.. Row().Matches(Section($"### {project}")).Select(row => row.Groups["room"].Value)];

    /// <summary>The paths below src of the files that a section lists.</summary>
    public static IReadOnlyList<string> Files(string heading) => [.. Item().Matches(Section($"## {heading}")).Select(item => item.Groups["file"].Value)];

    private static string Section(string heading)
    {
        int start = Text.IndexOf($"{heading}\n", StringComparison.Ordinal);
        Assert.True(start >= 0, $"docs/architecture.md has no heading '{heading}'.");
        start += heading.Length;
        int end = NextHeading().Match(Text, start) is { Success: true } next ? next.Index : Text.Length;
        return Text[start..end];
    }

    [GeneratedRegex(@"^\| `(?<room>[\w/.]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"`(?<file>[\w/]+\.cs)`")]
    private static partial Regex Item();

    [GeneratedRegex(@"^##", RegexOptions.Multiline)]
    private static partial Regex NextHeading();
}
