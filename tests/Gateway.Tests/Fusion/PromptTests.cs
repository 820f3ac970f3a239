using System.Text.Json;
using ProxyTune.Testing;
using static ProxyTune.Gateway.Tests.Fusion.Equations;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Tests prompts per role. A prompt of one role changes only the stream of that role.</summary>
[Collection(MethodsCollection.Name)]
public class PromptTests(MethodsGateway gateway)
{
    private const string Examples = """{"examples":[{"user":"a","assistant":"b"}]}""";

    // The letter that every answer is made to begin with, so that its log-probabilities can be compared.
    private static readonly int Letter = TinyTokenizer.Special.Length + 'e';
    private static readonly Dictionary<string, double> OnlyLetter = new() { [$"{Letter}"] = 100 };

    [Theory]
    [InlineData("base", """{"system":"Be brief."}""", "Be brief.\nWhere?")]
    [InlineData("base", """{"assistant_prefix":" In"}""", "Where? In")]
    [InlineData("base", Examples, "a\nb\nWhere?")]
    [InlineData("base", """{"template":"chat"}""", MemberRows.Chat)]
    [InlineData("expert", """{"system":"Be brief."}""", "<|system|>\nBe brief.<|end|>\n" + MemberRows.Chat)]
    [InlineData("expert", """{"assistant_prefix":"In"}""", MemberRows.Chat + "In")]
    [InlineData("expert", Examples, "<|user|>\na<|end|>\n<|assistant|>\nb<|end|>\n" + MemberRows.Chat)]
    [InlineData("expert", """{"template":"plain"}""", MemberRows.Plain)]
    [InlineData("anti_expert", """{"system":"Be brief."}""", "<|system|>\nBe brief.<|end|>\n" + MemberRows.Chat)]
    [InlineData("anti_expert", """{"template":"plain","assistant_prefix":" In"}""", "Where? In")]
    public async Task Chat_PromptOfOneRole_ChangesOnlyThatStream(string role, string settings, string text)
    {
        JsonElement usual = await StreamsAsync(MethodsGateway.Narrow, null);
        JsonElement changed = await StreamsAsync(MethodsGateway.Narrow, $$"""{"{{role}}":{{settings}}}""");

        using MemberRows members = new(gateway.Server.Family, []);
        foreach ((string stream, string member, string itsRole) in Streams)
        {
            double expected = itsRole == role ? LogSoftmax(members.After(member, text))[Letter] : usual.GetProperty(stream).GetDouble();
            Assert.Equal(expected, changed.GetProperty(stream).GetDouble(), itsRole == role ? 1e-4 : 1e-6);
        }

        Assert.NotEqual(usual.GetRawText(), changed.GetRawText());
    }

    [Theory]
    [InlineData(null, "a\nb\nWhere?", "<|system|>\nBe brief.<|end|>\n" + MemberRows.Chat, MemberRows.Chat + "In")]
    [InlineData("""{"base":{"system":"s"},"expert":{"system":"Now."}}""", "s\na\nb\nWhere?", "<|system|>\nNow.<|end|>\n" + MemberRows.Chat, MemberRows.Chat + "In")]
    [InlineData("""{"base":{"examples":[]},"expert":{"system":""},"anti_expert":{"assistant_prefix":""}}""", "Where?", MemberRows.Chat, MemberRows.Chat)]
    [InlineData("""{"base":{"template":"plain"},"expert":{"assistant_prefix":"In"}}""", "a\nb\nWhere?", "<|system|>\nBe brief.<|end|>\n" + MemberRows.Chat + "In", MemberRows.Chat + "In")]
    public async Task Chat_PromptsOfTheCatalog_ApplyUnlessTheRequestSetsThem(string? asked, params string[] texts)
    {
        JsonElement streams = await StreamsAsync(MethodsGateway.Taught, asked);

        using MemberRows members = new(gateway.Server.Family, []);
        Assert.All(
            Streams.Zip(texts),
            pair => Assert.Equal(LogSoftmax(members.After(pair.First.Member, pair.Second))[Letter], streams.GetProperty(pair.First.Stream).GetDouble(), 1e-4));
    }

    private static (string Stream, string Member, string Role)[] Streams =>
        [("base", TinyFamily.Base, "base"), ("qa", TinyFamily.Expert, "expert"), ("qa anti", TinyFamily.AntiExpert, "anti_expert")];

    private async Task<JsonElement> StreamsAsync(string model, string? prompts)
    {
        JsonElement answer = await gateway.AskAsync(model, $$"""{"trace":true,"prompts":{{prompts ?? "null"}}}""", bias: OnlyLetter);
        JsonElement token = answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("tokens")[0];
        Assert.Equal(Letter, token.GetProperty("id").GetInt32());
        return token.GetProperty("streams");
    }
}
