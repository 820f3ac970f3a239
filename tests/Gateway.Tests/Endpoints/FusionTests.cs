using System.Net.Http.Json;
using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests the three ways to set weights, their order of precedence, and the report in the answer.</summary>
[Collection(GatewayCollection.Name)]
public class FusionTests(RunningGateway gateway)
{
    private const string Chat = "/v1/chat/completions";

    [Theory]
    [InlineData("town-qa", null, null, 1.0, 1.0)]
    [InlineData("town-qa@0.5", null, null, 0.5, 1.0)]
    [InlineData("town-qa", """{"alpha":0.25,"experts":{"qa":-0.5}}""", null, 0.25, -0.5)]
    [InlineData("town-qa", null, "alpha=0.75, qa=1.25", 0.75, 1.25)]
    [InlineData("town-qa", null, """{"alpha":0.75,"experts":{"qa":1.25}}""", 0.75, 1.25)]
    [InlineData("town-qa@0.5", null, "alpha=0.75, qa=1.25", 0.5, 1.25)]
    [InlineData("town-qa@0.5", """{"alpha":0.25}""", "alpha=0.75,qa=1.25", 0.25, 1.25)]
    [InlineData("town-qa", """{"experts":{"qa":0.5}}""", "alpha=2,qa=1.25", 2.0, 0.5)]
    public async Task Chat_FusionRequested_IsAppliedAndReported(string model, string? body, string? header, double alpha, double weight)
    {
        Dictionary<string, object?> question = AnswerTests.Question(2, new() { ["model"] = model });
        if (body is not null)
        {
            question["fusion"] = JsonDocument.Parse(body).RootElement;
        }

        using HttpResponseMessage response = await SendAsync(question, header);
        JsonElement answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;

        Assert.Equal("town-qa", answer.GetProperty("model").GetString());
        Assert.Equal(alpha, answer.GetProperty("fusion").GetProperty("alpha").GetDouble());
        Assert.Equal(weight, answer.GetProperty("fusion").GetProperty("experts").GetProperty("qa").GetDouble());
        Assert.Equal(FormattableString.Invariant($"method=proxy, alpha={alpha}, special_tokens=fused, qa={weight}"), response.Headers.GetValues("X-Fusion-Applied").Single());
    }

    [Fact]
    public async Task Chat_BaseAlone_ReportsNoFusion()
    {
        using HttpResponseMessage response = await SendAsync(AnswerTests.Question(2, new() { ["model"] = TinyFamily.Plain }), null);

        Assert.False(response.Headers.Contains("X-Fusion-Applied"));
        Assert.False(JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.TryGetProperty("fusion", out _));
    }

    [Fact]
    public async Task Chat_AlphaZero_EqualsBaseAlone()
    {
        string[] texts = await TextsAsync("town-qa@0", "plain-as-served");

        Assert.Equal(texts[1], texts[0]);
    }

    [Fact]
    public async Task Chat_OtherAlpha_GivesAnotherText()
    {
        string[] texts = await TextsAsync("town-qa@0", "town-qa@1", "town-qa@2");

        Assert.Equal(3, texts.Distinct().Count());
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(1.7)]
    public async Task Chat_Greedy_EqualsTheFormulaInPlainLoops(double alpha)
    {
        const int Count = 12;
        JsonElement answer = await gateway.AnswerAsync(Chat, AnswerTests.Question(Count, new()
        {
            ["model"] = FormattableString.Invariant($"town-qa@{alpha}"),
            ["temperature"] = 0,
            ["logprobs"] = true,
        }));
        byte[] served = [.. answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray()
            .SelectMany(token => token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte()))];

        using Tokenizer tokenizer = Tokenizer.Load(gateway.Family.PathOf(TinyFamily.Base));
        int[] chat = tokenizer.EncodeRendered("<|user|>\nWhere?<|end|>\n<|assistant|>\n");
        SlowLlama[] members = [.. new[] { TinyFamily.Base, TinyFamily.Expert, TinyFamily.AntiExpert }.Select(name => new SlowLlama(gateway.Family.PathOf(name)))];
        List<int> generated = [];
        for (int i = 0; i < Count; i++)
        {
            double[] large = members[0].Logits([.. tokenizer.Encode("Where?"), .. generated])[^1];
            double[] tuned = members[1].Logits([.. chat, .. generated])[^1];
            double[] untuned = members[2].Logits([.. chat, .. generated])[^1];
            generated.Add(Enumerable.Range(0, large.Length).MaxBy(id => large[id] + (alpha * (tuned[id] - untuned[id]))));
        }

        Assert.Equal(generated.SelectMany(tokenizer.TokenBytes), served);
    }

    [Fact]
    public async Task Models_List_ReturnsDefaultsAndLimits()
    {
        JsonElement models = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v1/models")).RootElement;
        JsonElement fused = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v1/models/town-qa")).RootElement;

        Assert.Equal("list", models.GetProperty("object").GetString());
        Assert.Equal(
            ["town-qa", "plain", "plain-as-served", "small", "small-qa"],
            models.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()));
        Assert.Equal(TinyFamily.ContextLength, fused.GetProperty("max_model_len").GetInt32());
        Assert.Equal(1.5, fused.GetProperty("fusion").GetProperty("experts").GetProperty("qa").GetProperty("maximum").GetDouble());
    }

    private async Task<string[]> TextsAsync(params string[] models)
    {
        List<string> texts = [];
        foreach (string model in models)
        {
            texts.Add(AnswerTests.ContentOf(await gateway.AnswerAsync(Chat, AnswerTests.Question(30, new() { ["model"] = model }))));
        }

        return [.. texts];
    }

    private async Task<HttpResponseMessage> SendAsync(Dictionary<string, object?> question, string? header)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, Chat) { Content = JsonContent.Create(question) };
        if (header is not null)
        {
            request.Headers.Add("X-Fusion", header);
        }

        return await gateway.Http.SendAsync(request);
    }
}
