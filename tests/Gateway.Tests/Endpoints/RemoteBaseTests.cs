using System.Net;
using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>A base behind this project's own server, asked over real HTTP for its 20 likeliest of 261 tokens.</summary>
public sealed class RemoteBaseTests : IAsyncLifetime
{
    private const string Text = "/v1/completions";
    private const int Top = 20;
    private readonly RunningGateway peer = new();
    private readonly RunningGateway gateway = new();

    public async Task InitializeAsync()
    {
        await peer.InitializeAsync();
        gateway.Family.WriteCatalog(new { served_models = new[] { TinyFamily.FusedEntry(), Far("by-text", asIds: false), Far("by-id", asIds: true) } });
        await gateway.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        await peer.DisposeAsync();
    }

    [Theory]
    [InlineData("by-id", true)]
    [InlineData("by-text", false)]
    public async Task Completion_RemoteBase_EqualsTheFormulaOverTheKnownTokensInPlainLoops(string model, bool asIds)
    {
        const int Count = 8;
        JsonElement answer = await gateway.AnswerAsync(Text, new { model, prompt = "Where?", temperature = 0, max_tokens = Count, logprobs = 3, ignore_eos = true, return_tokens_as_token_ids = true });
        JsonElement logprobs = answer.GetProperty("choices")[0].GetProperty("logprobs");
        int[] served = [.. logprobs.GetProperty("tokens").EnumerateArray().Select(token => int.Parse(token.GetString()!["token_id:".Length..], null))];
        double[] told = [.. logprobs.GetProperty("token_logprobs").EnumerateArray().Select(value => value.GetDouble())];

        using Tokenizer tokenizer = Tokenizer.Load(gateway.Family.PathOf(TinyFamily.Base));
        SlowLlama[] members = [.. new[] { TinyFamily.Base, TinyFamily.Expert, TinyFamily.AntiExpert }.Select(name => new SlowLlama(gateway.Family.PathOf(name)))];
        List<int> ids = [.. tokenizer.Encode("Where?")];
        for (int i = 0; i < Count; i++)
        {
            double[][] rows = [.. members.Select(member => member.Logits(ids)[^1])];
            int[] known = [.. Enumerable.Range(0, rows[0].Length).OrderByDescending(id => rows[0][id]).Take(Top).Where(id => asIds || IsText(tokenizer.TokenBytes(id)))];
            double[] fused = [.. known.Select(id => rows[0][id] + rows[1][id] - rows[2][id])];
            int best = Array.IndexOf(fused, fused.Max());
            Assert.Equal(known[best], served[i]);
            Assert.Equal(fused[best] - Math.Log(fused.Sum(Math.Exp)), told[i], 1e-3);
            ids.Add(known[best]);
        }
    }

    [Fact]
    public async Task Chat_RemoteBase_StreamEqualsWholeAnswer()
    {
        Dictionary<string, object?> question = AnswerTests.Question(6, new() { ["model"] = "by-id", ["temperature"] = 0 });
        string whole = AnswerTests.ContentOf(await gateway.AnswerAsync("/v1/chat/completions", question));
        question["stream"] = true;
        IReadOnlyList<string> events = await gateway.EventsAsync("/v1/chat/completions", question);

        Assert.Equal(whole, string.Concat(events.SkipLast(1).SelectMany(data => JsonDocument.Parse(data).RootElement.GetProperty("choices").EnumerateArray())
            .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : "")));
    }

    [Fact]
    public async Task Completion_TracedRemoteBase_ReportsTheBoundOfEachTokenAndCountsThem()
    {
        JsonElement trace = (await gateway.AnswerAsync(Text, new { model = "by-text", prompt = "Where?", max_tokens = 4, ignore_eos = true, fusion = new { trace = true } }))
            .GetProperty("choices")[0].GetProperty("fusion_trace");
        JsonElement[] bounds = [.. trace.GetProperty("tokens").EnumerateArray().Select(token => token.GetProperty("missing_bound"))];
        string metrics = await gateway.Http.GetStringAsync("/metrics");

        Assert.Equal(4, bounds.Length);
        Assert.All(bounds, bound =>
        {
            Assert.InRange(bound.GetProperty("mass").GetDouble(), 0.01, 0.99);
            Assert.InRange(bound.GetProperty("total_variation").GetDouble(), 0.01, 1);
            Assert.True(bound.GetProperty("keeps_likeliest").ValueKind is JsonValueKind.True or JsonValueKind.False);
        });
        Assert.Equal(bounds.Max(bound => bound.GetProperty("total_variation").GetDouble()), trace.GetProperty("summary").GetProperty("max_missing").GetDouble());
        Assert.Matches($"proxytune_remote_calls_total{{[^}}]*model=\"{TinyFamily.Plain}@127.0.0.1:{peer.Http.BaseAddress!.Port}\"[^}}]*}} 4\\b", metrics);
        Assert.Contains("proxytune_remote_dropped_tokens_total", metrics, StringComparison.Ordinal);
        Assert.Contains("proxytune_remote_missing_bound_count", metrics, StringComparison.Ordinal);
        Assert.Contains("proxytune_remote_unsure_choices_total", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model": "by-id", "prompt": "a", "echo": true, "logprobs": 1}""", "echo")]
    [InlineData("""{"model": "by-id", "prompt": "a", "fusion": {"method": "dynamic"}}""", "fusion.method")]
    public async Task Completion_SettingThatNeedsWholeRows_Returns400(string body, string field)
    {
        using HttpResponseMessage response = await gateway.PostAsync(Text, JsonDocument.Parse(body).RootElement);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetProperty("param").GetString());
    }

    private Dictionary<string, object?> Far(string name, bool asIds)
    {
        Dictionary<string, object?> entry = TinyFamily.FusedEntry();
        entry["name"] = name;
        entry["base"] = new
        {
            url = peer.Http.BaseAddress,
            model = TinyFamily.Plain,
            tokenizer = TinyFamily.Base,
            top_logprobs = Top,
            body = new { ignore_eos = true, return_tokens_as_token_ids = asIds },
        };
        return entry;
    }

    private static bool IsText(byte[] bytes) => System.Text.Unicode.Utf8.IsValid(bytes);
}
