using System.Net.Http.Json;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Endpoints;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Tests the header X-Fusion of requests and of answers.</summary>
[Collection(MethodsCollection.Name)]
public class HeaderTests(MethodsGateway gateway)
{
    [Theory]
    [InlineData(
        "method=eft, alpha=0.5, amplification=1.5, normalise=true, qa=1, poet=1",
        """{"method":"eft","alpha":0.5,"experts":{"qa":0.5,"poet":0.5},"normalise":true,"amplification":1.5,"mask":{"kind":"none"},"schedule":{"kind":"constant"}}""",
        "method=eft, alpha=0.5, amplification=1.5, normalise=true, qa=0.5, poet=0.5")]
    [InlineData(
        "method=dynamic,mode=single,search=grid,floor=0.5,poet=1,trace=false",
        """{"method":"dynamic","experts":{"qa":1,"poet":1},"mode":"single","search":"grid","floor":0.5,"mask":{"kind":"none"},"schedule":{"kind":"constant"},"trace":false}""",
        "method=dynamic, mode=single, search=grid, floor=0.5, trace=false, qa=1, poet=1")]
    [InlineData(
        """{"method":"contrastive","mask":{"kind":"ratio","ratio":0.2},"schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""",
        """{"method":"contrastive","alpha":1,"mask":{"kind":"ratio","ratio":0.2},"schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""",
        """{"method":"contrastive","alpha":1,"mask":{"kind":"ratio","ratio":0.2},"schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""")]
    [InlineData("method=none", """{"method":"none","mask":{"kind":"none"},"schedule":{"kind":"constant"}}""", "method=none")]
    public async Task Chat_Header_SetsAllItsFields(string header, string applied, string told)
    {
        (JsonElement answer, string first) = await AskAsync(header);
        (JsonElement again, string second) = await AskAsync(first);

        Assert.Equal(applied, answer.GetProperty("fusion").GetRawText());
        Assert.Equal(told, first);
        Assert.Equal(first, second);
        Assert.Equal(applied, again.GetProperty("fusion").GetRawText());
    }

    [Fact]
    public async Task Chat_BodyAndHeader_BodyWinsFieldByField()
    {
        (JsonElement answer, _) = await AskAsync("method=dexperts, alpha=0.5, qa=0.25, poet=0.5", new { alpha = 0.75, experts = new { poet = 1.5 }, mask = new { kind = "none" } });

        Assert.Equal(
            """{"method":"dexperts","alpha":0.75,"experts":{"qa":0.25,"poet":1.5},"mask":{"kind":"none"},"schedule":{"kind":"constant"}}""",
            answer.GetProperty("fusion").GetRawText());
    }

    [Theory]
    [InlineData("normalise=yes")]
    [InlineData("trace=1")]
    [InlineData("amplification=more")]
    [InlineData("floor=low")]
    [InlineData("method=proxy, qa")]
    [InlineData("alpha=1, alpha=0.5")]
    [InlineData("qa=1, qa=1")]
    [InlineData("qa=much")]
    [InlineData("""{"mask":{"kind":"ratio","share":0.1}}""")]
    [InlineData("""{"method":"\ud800"}""")]
    public async Task Chat_BrokenHeader_IsRefused(string header)
    {
        using HttpResponseMessage response = await SendAsync(header, null);

        await BadRequestTests.AssertErrorAsync(response, 400, "X-Fusion", "invalid_value", [header, "method, alpha, amplification, normalise, mode, search, floor, special_tokens, trace"]);
    }

    [Theory]
    [InlineData("alpha=1, alpha=1", "alpha stands there twice")]
    [InlineData("qa=0.5, qa=1", "qa stands there twice")]
    [InlineData("trace=1", "trace is '1' and takes true or false")]
    [InlineData("qa=much", "qa is 'much' and takes a number")]
    public async Task Chat_BrokenHeader_NamesTheField(string header, string words)
    {
        using HttpResponseMessage response = await SendAsync(header, null);

        await BadRequestTests.AssertErrorAsync(response, 400, "X-Fusion", "invalid_value", [words]);
    }

    [Fact]
    public async Task Chat_HeaderWithAFieldThatDoesNotExist_ListsExpertsAndFields()
    {
        using HttpResponseMessage response = await SendAsync("alhpa=1", null);

        await BadRequestTests.AssertErrorAsync(response, 404, "fusion.experts.alhpa", "expert_not_found", ["'alhpa'", "qa", "X-Fusion has the fields method, alpha"]);
    }

    [Theory]
    [InlineData("""{"method":"divergence","mask":{"kind":"rank"}}""", """ "mask":{"kind":"rank","k":20} """)]
    [InlineData("""{"mask":{"kind":"nucleus","p":0.5}}""", """ "mask":{"kind":"nucleus","p":0.5,"of":"base"} """)]
    [InlineData("""{"schedule":{"kind":"linear","tokens":4}}""", """ "schedule":{"kind":"linear","tokens":4,"from":0} """)]
    [InlineData("""{"schedule":{"kind":"gated"}}""", """ "schedule":{"kind":"gated","threshold":0.9} """)]
    public async Task Chat_KindWithDefaults_AppliedNamesThem(string asked, string applied)
    {
        (JsonElement answer, _) = await AskAsync(asked, null);

        Assert.Contains(applied.Trim(), answer.GetProperty("fusion").GetRawText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("alpha=NaN", "fusion.alpha")]
    [InlineData("qa=Infinity", "fusion.experts.qa")]
    [InlineData("qa=1e999", "fusion.experts.qa")]
    [InlineData("method=magic", "fusion.method")]
    public async Task Chat_HeaderWithWrongValue_IsRefusedLikeTheBody(string header, string field)
    {
        using HttpResponseMessage response = await SendAsync(header, null);

        await BadRequestTests.AssertErrorAsync(response, 400, field, "invalid_value", []);
    }

    [Fact]
    public async Task Models_List_ReturnsMethodsRangesAndDefaults()
    {
        JsonElement any = JsonDocument.Parse(await gateway.Server.Http.GetStringAsync("/v1/models/any")).RootElement.GetProperty("fusion");
        JsonElement eft = JsonDocument.Parse(await gateway.Server.Http.GetStringAsync("/v1/models/by-eft")).RootElement.GetProperty("fusion");

        Assert.Equal("proxy", any.GetProperty("method").GetString());
        Assert.Equal(
            ["proxy", "none", "eft", "dynamic", "dexperts", "contrastive", "context_aware", "divergence"], any.GetProperty("methods").EnumerateArray().Select(method => method.GetString()));
        Assert.Equal("""{"default":1,"minimum":-1,"maximum":3}""", any.GetProperty("alpha").GetRawText());
        Assert.Equal("""{"default":1,"minimum":0.5,"maximum":2}""", any.GetProperty("amplification").GetRawText());
        Assert.Equal("""{"default":0,"minimum":-1,"maximum":2}""", any.GetProperty("experts").GetProperty("poet").GetRawText());
        Assert.Equal(
            """{"method":"eft","alpha":0.8,"experts":{"qa":1},"amplification":1.5,"mask":{"kind":"delta","p":0.6},"schedule":{"kind":"constant"}}""",
            eft.GetProperty("defaults").GetRawText());
    }

    private async Task<(JsonElement Answer, string Applied)> AskAsync(string header, object? fusion = null)
    {
        using HttpResponseMessage response = await SendAsync(header, fusion);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return (JsonDocument.Parse(text).RootElement, response.Headers.GetValues("X-Fusion-Applied").Single());
    }

    private Task<HttpResponseMessage> SendAsync(string header, object? fusion)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(AnswerTests.Question(1, new() { ["model"] = MethodsGateway.Any, ["fusion"] = fusion })),
        };
        request.Headers.Add("X-Fusion", header);
        return gateway.Server.Http.SendAsync(request);
    }
}
