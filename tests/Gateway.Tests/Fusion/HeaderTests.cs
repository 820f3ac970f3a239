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
        """{"method":"eft","alpha":0.5,"experts":{"qa":0.5,"poet":0.5},"normalise":true,"amplification":1.5,"mask":{"kind":"none"},"special_tokens":"fused","schedule":{"kind":"constant"}}""",
        "method=eft, alpha=0.5, amplification=1.5, normalise=true, special_tokens=fused, qa=0.5, poet=0.5")]
    [InlineData(
        "method=dynamic,mode=single,search=grid,floor=0.5,poet=1,trace=false",
        """{"method":"dynamic","experts":{"qa":1,"poet":1},"mode":"single","search":"grid","floor":0.5,"mask":{"kind":"none"},"special_tokens":"fused","schedule":{"kind":"constant"},"trace":false}""",
        "method=dynamic, mode=single, search=grid, floor=0.5, special_tokens=fused, trace=false, qa=1, poet=1")]
    [InlineData(
        """{"method":"contrastive","mask":{"kind":"ratio","ratio":0.2},"schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""",
        """{"method":"contrastive","alpha":1,"mask":{"kind":"ratio","ratio":0.2},"special_tokens":"fused","schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""",
        """{"method":"contrastive","alpha":1,"mask":{"kind":"ratio","ratio":0.2},"special_tokens":"fused","schedule":{"kind":"linear","tokens":3,"from":0.5},"prompts":{"base":{"system":"x"}}}""")]
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
            """{"method":"dexperts","alpha":0.75,"experts":{"qa":0.25,"poet":1.5},"mask":{"kind":"none"},"special_tokens":"fused","schedule":{"kind":"constant"}}""",
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
    [InlineData("alpha=1, alpha=2", "alpha is given twice")]
    [InlineData("qa=1,method=proxy,qa=0.5", "qa is given twice")]
    [InlineData("""{"alpha":1,"alpha":2}""", "alpha is given twice")]
    [InlineData("""{"experts":{"qa":1,"q\u0061":2}}""", "experts.qa is given twice")]
    [InlineData("alpha=a lot", "alpha is 'a lot'; accepted is a number in the served model's alpha_range")]
    [InlineData("trace=True", "trace is 'True'; accepted is true or false")]
    [InlineData("qa=much", "qa is 'much'; accepted is a number")]
    [InlineData("mask=ratio", "mask has no short form")]
    [InlineData("""{"alpha":"1"}""", "alpha is \"1\"")]
    [InlineData("""{"method":"\ud800"}""", "method holds text that is not valid Unicode")]
    public async Task Chat_BrokenHeader_NamesTheFieldAtFault(string header, string reason)
    {
        using HttpResponseMessage response = await SendAsync(header, null);

        await BadRequestTests.AssertErrorAsync(response, 400, "X-Fusion", "invalid_value", [header, reason]);
    }

    [Fact]
    public async Task Chat_HeaderInTwoLinesWithOneField_IsRefused()
    {
        using HttpResponseMessage response = await SendAsync("alpha=1", null, "alpha=2");

        await BadRequestTests.AssertErrorAsync(response, 400, "X-Fusion", "invalid_value", ["alpha is given twice"]);
    }

    [Theory]
    [InlineData("alhpa=1.2")]
    [InlineData("alhpa=yes")]
    public async Task Chat_HeaderWithUnknownName_IsToldFieldsAndExperts(string header)
    {
        using HttpResponseMessage response = await SendAsync(header, null);

        await BadRequestTests.AssertErrorAsync(
            response, 404, "fusion.experts.alhpa", "expert_not_found", ["alhpa is neither a field nor an expert of any", "method, alpha, amplification", "the experts are qa, poet"]);
    }

    [Theory]
    [InlineData("""{"method":"divergence","mask":{"kind":"rank"}}""", """ "mask":{"kind":"rank","k":20},"special_tokens":"fused","schedule":{"kind":"constant"}""")]
    [InlineData("""{"mask":{"kind":"nucleus","p":0.5}}""", """ "mask":{"kind":"nucleus","p":0.5,"of":"base"},"special_tokens":"fused","schedule":{"kind":"constant"}""")]
    [InlineData("""{"schedule":{"kind":"gated"}}""", """ "mask":{"kind":"none"},"special_tokens":"fused","schedule":{"kind":"gated","threshold":0.9}""")]
    [InlineData("""{"schedule":{"kind":"linear","tokens":4}}""", """ "mask":{"kind":"none"},"special_tokens":"fused","schedule":{"kind":"linear","tokens":4,"from":0}""")]
    [InlineData("""{"method":"none","mask":{"kind":"none"}}""", """ "mask":{"kind":"none"},"schedule":{"kind":"constant"}""")]
    public async Task Chat_FieldsWithDefaults_AreTold(string header, string applied)
    {
        (JsonElement answer, string told) = await AskAsync(header);

        Assert.Contains(applied.Trim(), answer.GetProperty("fusion").GetRawText(), StringComparison.Ordinal);
        Assert.Contains(applied.Trim(), told, StringComparison.Ordinal);
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
            """{"method":"eft","alpha":0.8,"experts":{"qa":1},"amplification":1.5,"mask":{"kind":"delta","p":0.6},"special_tokens":"fused","schedule":{"kind":"constant"}}""",
            eft.GetProperty("defaults").GetRawText());
    }

    private async Task<(JsonElement Answer, string Applied)> AskAsync(string header, object? fusion = null)
    {
        using HttpResponseMessage response = await SendAsync(header, fusion);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return (JsonDocument.Parse(text).RootElement, response.Headers.GetValues("X-Fusion-Applied").Single());
    }

    private Task<HttpResponseMessage> SendAsync(string header, object? fusion, params string[] further)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(AnswerTests.Question(1, new() { ["model"] = MethodsGateway.Any, ["fusion"] = fusion })),
        };
        request.Headers.Add("X-Fusion", [header, .. further]);
        return gateway.Server.Http.SendAsync(request);
    }
}
