using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Architecture.Tests;

/// <summary>Finds the source file that declares a type. Compiled code contains types, and rooms are folders of source files.</summary>
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
                // A partial type counts as part of the first of its files.
                fileOfType.TryAdd($"{scope}.{type.Groups["name"].Value}", name);
            }

            Folders.Add(FolderOf(name));
        }
    }

    public string Project { get; }

    /// <summary>Folders with source files, relative to the folder of the project; "." is that folder itself.</summary>
    public SortedSet<string> Folders { get; } = new(StringComparer.Ordinal);

    /// <summary>Path of the file relative to the folder of the project; null for a type of another project.</summary>
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
