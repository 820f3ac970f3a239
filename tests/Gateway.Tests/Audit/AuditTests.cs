using System.Net.Http.Json;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Endpoints;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Audit;

[Collection(GatewayCollection.Name)]
public class AuditTests(RunningGateway gateway)
{
    private const string Path = "/v1/audits";

    [Fact]
    public async Task Audit_SentAgainWithItsSettings_FindsTheSameSorted()
    {
        JsonElement first = await gateway.AnswerAsync(Path, Body(new() { ["texts"] = 3, ["max_tokens"] = 5, ["candidates"] = 2 }));
        Dictionary<string, object?> again = first.GetProperty("settings").EnumerateObject().ToDictionary(field => field.Name, field => (object?)field.Value);

        JsonElement second = await gateway.AnswerAsync(Path, Body(again));

        JsonElement[] texts = [.. first.GetProperty("data").EnumerateArray()];
        Assert.Equal(first.GetProperty("data").GetRawText(), second.GetProperty("data").GetRawText());
        Assert.Equal([0, 1, 2], texts.Select(text => text.GetProperty("order").GetInt32()).Order());
        Assert.Equal(texts.Select(text => text.GetProperty("score").GetDouble()).OrderDescending(), texts.Select(text => text.GetProperty("score").GetDouble()));
        Assert.Equal((TinyFamily.Expert, TinyFamily.AntiExpert), (first.GetProperty("tuned").GetString(), first.GetProperty("untuned").GetString()));
    }

    [Fact]
    public async Task Audit_OwnPrompts_AreAnsweredInTurn()
    {
        JsonElement report = await gateway.AnswerAsync(Path, Body(new() { ["prompts"] = new[] { "Where?", "Who?" }, ["texts"] = 3, ["max_tokens"] = 3, ["candidates"] = 2 }));

        Assert.Equal(["Where?", "Who?", "Where?"], report.GetProperty("data").EnumerateArray().OrderBy(text => text.GetProperty("order").GetInt32()).Select(text => text.GetProperty("prompt").GetString()));
    }

    [Fact]
    public async Task Audit_MadeUpMessagesOfARandomModel_FitItsShortContext()
    {
        JsonElement report = await gateway.AnswerAsync(Path, Body(new() { ["texts"] = 100, ["max_tokens"] = 1, ["candidates"] = 1, ["seed"] = 1 }));

        Assert.Equal(100, report.GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("model", "\"nobody\"", 404, "model_not_found", "nobody")]
    [InlineData("expert", "\"nobody\"", 404, "expert_not_found", "qa")]
    [InlineData("expert", "null", 400, "invalid_value", "missing")]
    [InlineData("candidate", "3", 400, "invalid_value", "candidates")]
    [InlineData("prompts", "[]", 400, "invalid_value", "at least one")]
    [InlineData("prompts", "[null]", 400, "invalid_value", "null")]
    [InlineData("texts", "101", 400, "invalid_value", "1 to 100")]
    [InlineData("candidates", "0", 400, "invalid_value", "1 to 256")]
    [InlineData("max_tokens", "0", 400, "invalid_value", "1 to 1024")]
    [InlineData("alpha", "-1", 400, "invalid_value", "0 to 10")]
    [InlineData("plausibility", "0", 400, "invalid_value", "0.000001 to 1")]
    [InlineData("diversity", "11", 400, "invalid_value", "0 to 10")]
    public async Task Audit_WrongField_NamesIt(string field, string value, int status, string code, string word)
    {
        using HttpResponseMessage response = await gateway.PostAsync(Path, Body(new() { [field] = JsonDocument.Parse(value).RootElement }));

        await BadRequestTests.AssertErrorAsync(response, status, field, code, [word]);
    }

    [Fact]
    public async Task Audit_FromARemoteAddress_Returns403()
    {
        using HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = JsonContent.Create(Body([])) };
        request.Headers.Add("X-Forwarded-For", "192.168.0.7");

        using HttpResponseMessage response = await gateway.Http.SendAsync(request);

        Assert.Equal(System.Net.HttpStatusCode.Forbidden, response.StatusCode);
    }

    private static Dictionary<string, object?> Body(Dictionary<string, object?> fields)
    {
        Dictionary<string, object?> body = new() { ["model"] = TinyFamily.Fused, ["expert"] = "qa" };
        foreach ((string name, object? value) in fields)
        {
            body[name] = value;
        }

        return body;
    }
}
