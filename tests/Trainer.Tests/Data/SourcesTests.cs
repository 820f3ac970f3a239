using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Data;

public sealed class SourcesTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();

    [Fact]
    public void Documents_File_RepeatsAfterTheLastLine()
    {
        Func<long, string> documents = Sources.Documents(Write("""{"text":"one"}""", "", """{"text":"two"}"""));

        Assert.Equal(["one", "two", "one"], Enumerable.Range(0, 3).Select(i => documents(i)));
    }

    [Fact]
    public void Examples_BrokenLine_NamesFileAndLine()
    {
        string path = Write("""{"messages":[{"role":"user","content":"a"}],"answer":"b"}""", """{"messages":[]}""");

        TrainingException error = Assert.Throws<TrainingException>(() => Sources.Examples(path));

        Assert.Contains($"{path}, line 2", error.Message, StringComparison.Ordinal);
        Assert.Contains("answer", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("town:nowhere")]
    [InlineData("missing.jsonl")]
    public void Documents_UnknownName_NamesItAndWhatIsAccepted(string source)
    {
        TrainingException error = Assert.Throws<TrainingException>(() => Sources.Documents(source));

        Assert.Contains(source, error.Message, StringComparison.Ordinal);
        Assert.Contains("town:", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Examples_Joined_ContainEachPartInOrder()
    {
        string file = Write("""{"messages":[{"role":"user","content":"a"}],"answer":"b"}""");

        IReadOnlyList<Example> joined = Sources.Examples($"town:helpful/valid+{file}+town:else-qa/test");

        IEnumerable<string> expected = TownData.Examples("town:helpful/valid").Select(e => e.Answer).Append("b").Concat(TownData.Examples("town:else-qa/test").Select(e => e.Answer));
        Assert.Equal(expected, joined.Select(e => e.Answer));
    }

    [Theory]
    [InlineData("town:qa/train+town:rude/train", "'town:rude/train'")]
    [InlineData("town:qa/train+", "''")]
    [InlineData("missing.jsonl+town:qa/train", "'missing.jsonl'")]
    public void Examples_UnknownPart_IsNamed(string source, string part) =>
        Assert.Contains(part, Assert.Throws<TrainingException>(() => Sources.Examples(source)).Message, StringComparison.Ordinal);

    [Fact]
    public void Examples_FileWithAPlusInItsName_ReadsOneFile()
    {
        string path = Path.Combine(folder, "a+b.jsonl");
        File.Move(Write("""{"messages":[{"role":"user","content":"a"}],"answer":"b"}"""), path);

        Assert.Single(Sources.Examples(path));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string Write(params string[] lines)
    {
        string path = Path.Combine(folder, "data.jsonl");
        File.WriteAllLines(path, lines);
        return path;
    }
}
