using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Architecture.Tests;

/// <summary>Which source file declares a type. Compiled code knows types; rooms are folders.</summary>
internal sealed partial class SourceTree
{
    private readonly Dictionary<string, string> fileOfType = [];

    /// <param name="project">Folder below src.</param>
    public SourceTree(string project)
    {
        Project = project;
        string folder = Path.Combine(Repository.Root, "src", project);
        foreach (string file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        {
            string text = File.ReadAllText(file);
            string name = Path.GetRelativePath(folder, file).Replace('\\', '/');
            string scope = Scope().Match(text).Groups["name"].Value;
            foreach (Match type in Declaration().Matches(text))
            {
                // A partial type belongs to the first of its files.
                fileOfType.TryAdd($"{scope}.{type.Groups["name"].Value}", name);
            }

            Folders.Add(FolderOf(name));
        }
    }

    public string Project { get; }

    /// <summary>Folders with source files, below the project's; "." is the project's own.</summary>
    public SortedSet<string> Folders { get; } = new(StringComparer.Ordinal);

    /// <summary>Path of the file below the project's folder, or null for a type of another project.</summary>
    /// <param name="type">Full name; nested and generic types count as the outermost type that declares them.</param>
    public string? FileOf(string type) => fileOfType.GetValueOrDefault(Outermost().Match(type).Value);

    public static string FolderOf(string file) => file.Contains('/', StringComparison.Ordinal) ? file[..file.LastIndexOf('/')] : ".";

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Scope();

    [GeneratedRegex(@"^(?:(?:public|internal|sealed|static|abstract|readonly|partial|unsafe|ref|file) )*(?:class|record struct|record|struct|interface|enum|delegate [\w<>?\[\], ]+?) (?<name>\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^[\w.]+")]
    private static partial Regex Outermost();
}
