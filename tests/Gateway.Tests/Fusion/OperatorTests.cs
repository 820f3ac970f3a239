using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Access;
using ProxyTune.Gateway.Tests.Endpoints;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Tests the requests that only operators may make, and how operators are recognised.</summary>
[Collection(MethodsCollection.Name)]
public class OperatorTests(MethodsGateway gateway)
{
    private const string Key = "open sesame";

    [Theory]
    [InlineData("""{"experts":{"qa":-0.5}}""")]
    [InlineData("""{"method":"dynamic"}""")]
    public async Task Chat_ForOperatorsWithoutAConfiguredKey_AcceptsLocalCallers(string fusion) =>
        await gateway.AskAsync(MethodsGateway.Narrow, fusion);

    [Fact]
    public async Task Chat_ForOperatorsWithAConfiguredKey_AcceptsOnlyTheKey()
    {
        RunningGateway guarded = new(null, "--Operator:Key", Key);
        await guarded.InitializeAsync();

        await AssertRefusedAsync(guarded, """{"experts":{"qa":-0.5}}""", null, "fusion.experts.qa", ["-0.5", "operators", "0 to 1.5"]);
        await AssertRefusedAsync(guarded, """{"experts":{"qa":-0.5}}""", "Bearer open", "fusion.experts.qa", ["-0.5"]);
        await AssertRefusedAsync(guarded, """{"experts":{"qa":-0.5}}""", Key, "fusion.experts.qa", ["-0.5"]);
        await AssertRefusedAsync(guarded, """{"method":"dynamic"}""", null, "fusion.method", ["dynamic", "operators", "proxy"]);
        using HttpResponseMessage negative = await SendAsync(guarded, """{"experts":{"qa":-0.5}}""", $"Bearer {Key}");
        using HttpResponseMessage method = await SendAsync(guarded, """{"method":"dynamic"}""", $"Bearer {Key}");
        using HttpResponseMessage usual = await SendAsync(guarded, """{"alpha":0.5}""", null);

        Assert.True(negative.IsSuccessStatusCode);
        Assert.True(method.IsSuccessStatusCode);
        Assert.True(usual.IsSuccessStatusCode);
        await guarded.DisposeAsync();
    }

    [Fact]
    public async Task Chat_BelowTheRange_IsRefusedEvenForOperators() =>
        await AssertRefusedAsync(gateway.Server, """{"experts":{"qa":-1.5}}""", null, "fusion.experts.qa", ["-1.5", "-1 to"], 400, "invalid_value", MethodsGateway.Narrow);

    [Theory]
    [InlineData(null, "127.0.0.1", null, null, true)]
    [InlineData(null, "::1", null, null, true)]
    [InlineData(null, "::ffff:127.0.0.1", null, null, true)]
    [InlineData(null, "192.168.0.7", null, null, false)]
    [InlineData(null, null, null, null, false)]
    [InlineData(null, "192.168.0.7", "Bearer null", null, false)]
    [InlineData(null, "127.0.0.1", null, "X-Forwarded-For", false)]
    [InlineData(null, "127.0.0.1", null, "Forwarded", false)]
    [InlineData(Key, "127.0.0.1", null, null, false)]
    [InlineData(Key, "127.0.0.1", "Bearer ", null, false)]
    [InlineData(Key, "192.168.0.7", "Bearer " + Key, null, true)]
    [InlineData(Key, "192.168.0.7", "bearer " + Key, "X-Forwarded-For", true)]
    [InlineData(Key, "192.168.0.7", "Bearer " + Key + "!", null, false)]
    [InlineData(Key, "192.168.0.7", "Basic " + Key, null, false)]
    public void Authenticate_KeyAndAddress_DecideTheRole(string? key, string? address, string? authorization, string? forwarded, bool expected)
    {
        DefaultHttpContext http = new();
        http.Connection.RemoteIpAddress = address is null ? null : IPAddress.Parse(address);
        http.Request.Headers.Authorization = authorization;
        if (forwarded is not null)
        {
            http.Request.Headers[forwarded] = "for=192.168.0.7";
        }

        Assert.Equal(expected ? CallerRole.Operator : CallerRole.Client, new Authenticator(key).Authenticate(http).Role);
    }

    private static async Task AssertRefusedAsync(
        RunningGateway server, string fusion, string? authorization, string field, string[] words, int status = 403, string code = "operator_only", string model = TinyFamily.Fused)
    {
        using HttpResponseMessage response = await SendAsync(server, fusion, authorization, model);
        await BadRequestTests.AssertErrorAsync(response, status, field, code, words);
    }

    private static Task<HttpResponseMessage> SendAsync(RunningGateway server, string fusion, string? authorization, string model = TinyFamily.Fused)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(AnswerTests.Question(1, new() { ["model"] = model, ["fusion"] = JsonDocument.Parse(fusion).RootElement })),
        };
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return server.Http.SendAsync(request);
    }
}
