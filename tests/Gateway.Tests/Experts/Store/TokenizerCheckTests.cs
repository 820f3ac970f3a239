using System.Text.Json.Nodes;
using ProxyTune.Gateway.Experts;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Checks that published tokenizers pass the check that hostile ones fail (see <see cref="HostileModels"/>).</summary>
public sealed class TokenizerCheckTests
{
    private const int Words = 60_000;

    [Theory]
    [InlineData("town-base")]
    [InlineData("town-small-json")]
    public void Check_ModelOfTheDemoFamily_Passes(string name) => ModelCheck.Check(Path.Combine(Repository.Root, "models", name));

    /// <summary>Published tokenizers, which are not part of the checkout.</summary>
    [Theory]
    [InlineData("distilgpt2")]
    [InlineData("smollm")]
    [InlineData("phi-3-mini")]
    public void Check_PublishedTokenizer_Passes(string name)
    {
        if (SharedData.Folder(Path.Combine("tokenizers", name)) is { } folder)
        {
            TokenizerCheck.Check(folder, Words);
        }
    }

    [Theory]
    [InlineData(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    [InlineData(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    public void Check_PatternOfAPublishedTokenizer_Passes(string pattern)
    {
        using TinyModel model = TinyModel.Create();
        string path = Path.Combine(model.Folder, "tokenizer.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json["pre_tokenizer"] = new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated" };
        File.WriteAllText(path, json.ToJsonString());
        TokenizerCheck.Check(model.Folder, Words);
    }
}
