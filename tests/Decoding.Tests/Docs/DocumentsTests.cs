using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Docs;

/// <summary>Checks that the links, paths and folders in the documents exist.</summary>
public partial class DocumentsTests
{
    public static TheoryData<string> Documents =>
    [
        "README.md", "CONTRIBUTING.md", "models/README.md",
        .. Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md").Select(file => "docs/" + Path.GetFileName(file)),
    ];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Document_LinksAndPaths_Exist(string document)
    {
        string path = Path.Combine(Repository.Root, document), text = File.ReadAllText(path);
        IEnumerable<string> links = Links().Matches(text).Select(link => Path.Combine(Path.GetDirectoryName(path)!, link.Groups[1].Value));
        IEnumerable<string> named = Paths().Matches(text).Select(name => Path.Combine(Repository.Root, name.Groups[1].Value));

        Assert.DoesNotContain(links.Concat(named), target => !Path.Exists(target));
    }

    [Fact]
    public void Contributing_Rooms_NameFoldersThatExist()
    {
        string contributing = File.ReadAllText(Path.Combine(Repository.Root, "CONTRIBUTING.md"));
        string[] folders =
        [
            .. Projects().Matches(contributing).SelectMany(line => Rooms().Matches(line.Groups[2].Value).SelectMany(room =>
                room.Groups[2].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries).Prepend("").Select(inner => Path.Combine("src", line.Groups[1].Value, room.Groups[1].Value, inner)))),
        ];

        Assert.True(folders.Length > 30, "The list of rooms was not found.");
        Assert.DoesNotContain(folders, folder => !Directory.Exists(Path.Combine(Repository.Root, folder)));
    }

    [GeneratedRegex(@"\]\((?!https?:|#)([^)#]+)")]
    private static partial Regex Links();

    [GeneratedRegex(@"`((?:src|tests|docs|models|bench|openapi)/[A-Za-z0-9_./-]+)`")]
    private static partial Regex Paths();

    [GeneratedRegex(@"^- (\w+): (.+)$", RegexOptions.Multiline)]
    private static partial Regex Projects();

    [GeneratedRegex(@"(\w+)(?: \(([^)]+)\))?")]
    private static partial Regex Rooms();
}
