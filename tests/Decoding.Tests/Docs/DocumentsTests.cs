using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Docs;

/// <summary>What the documents name exists.</summary>
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
    public void Readme_Tree_NamesFoldersThatExist()
    {
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        string parent = "";
        int found = 0;
        foreach (Match line in TreeLines().Matches(readme[readme.IndexOf("## The tree", StringComparison.Ordinal)..]))
        {
            string name = line.Groups[2].Value;
            parent = line.Groups[1].Length == 4 ? name : parent;
            string folder = line.Groups[1].Length == 4 ? name : parent + name;
            Assert.True(Directory.Exists(Path.Combine(Repository.Root, folder)), folder);
            found++;
        }

        Assert.True(found > 10, "The tree was not found.");
    }

    [GeneratedRegex(@"\]\((?!https?:|#)([^)#]+)")]
    private static partial Regex Links();

    [GeneratedRegex(@"`((?:src|tests|docs|models|bench|openapi)/[A-Za-z0-9_./-]+)`")]
    private static partial Regex Paths();

    [GeneratedRegex(@"^( {4}| {6})([A-Za-z/]+/) ", RegexOptions.Multiline)]
    private static partial Regex TreeLines();
}
