using ProxyTune.Decoding;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Answers;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Chat;

public class ModelNameTests
{
    [Theory]
    [InlineData("base", "base", null)]
    [InlineData("base@0.5", "base", 0.5)]
    [InlineData("v@2", "v@2", null)]
    [InlineData("v@2@0.5", "v@2", 0.5)]
    public void Parse_FolderNamesWithAt_ReadsNoSuffix(string text, string name, double? alpha)
    {
        using TinyFamily family = new();
        File.Delete(family.PathOf("catalog.json"));
        Directory.Move(family.PathOf("small"), family.PathOf("v@2"));
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        ModelName parsed = ModelName.Parse(text, catalog.Served);

        Assert.Equal((name, alpha), (parsed.Model.Name, parsed.Alpha));
    }
}
