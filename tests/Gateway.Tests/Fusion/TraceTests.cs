using System.Text.Json;
using ProxyTune.Decoding.Models;
using ProxyTune.Gateway.Answers;
using ProxyTune.Gateway.Completions;
using ProxyTune.Gateway.Tests.Endpoints;
using ProxyTune.Testing;
using static ProxyTune.Gateway.Tests.Fusion.Equations;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Tests fusion.trace: its fields per token, its place in the answer, and its length limit.</summary>
[Collection(MethodsCollection.Name)]
public class TraceTests(MethodsGateway gateway)
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";

    // Without end tokens, answers have the requested length.
    private static readonly Dictionary<string, double> Endless = new() { ["0"] = -100, ["4"] = -100 };

    [Fact]
    public async Task Chat_Traced_EqualsPlainLoopsForEachToken()
    {
        const int Count = 4;
        JsonElement choice = (await gateway.AskAsync(MethodsGateway.Any, """{"alpha":0.8,"experts":{"poet":0.5},"mask":{"kind":"ratio","ratio":0.2},"trace":true}""", Count))
            .GetProperty("choices")[0];
        JsonElement[] trace = [.. choice.GetProperty("fusion_trace").GetProperty("tokens").EnumerateArray()];
        int[] ids = [.. trace.Select(token => token.GetProperty("id").GetInt32())];

        Assert.Equal(
            choice.GetProperty("logprobs").GetProperty("content").EnumerateArray().Select(token => token.GetProperty("token").GetString()),
            trace.Select(token => token.GetProperty("token").GetString()));
        for (int i = 0; i < trace.Length; i++)
        {
            using MemberRows members = new(gateway.Server.Family, ids[..i]);
            double[] fused = Sum((1, members.Base), (0.8, members.Qa), (0.4, members.Poet), (-1.2, members.Small));
            int[] kept = [.. Ratio(members.Base, 0.2)];
            JsonElement streams = trace[i].GetProperty("streams"), choiceOfBase = trace[i].GetProperty("base_choice");
            Assert.Equal(0.8, trace[i].GetProperty("weights").GetProperty("qa").GetDouble(), 1e-6);
            Assert.Equal(0.4, trace[i].GetProperty("weights").GetProperty("poet").GetDouble(), 1e-6);
            Assert.Equal(LogSoftmax(members.Base)[ids[i]], streams.GetProperty("base").GetDouble(), 1e-4);
            Assert.Equal(LogSoftmax(members.Qa)[ids[i]], streams.GetProperty("qa").GetDouble(), 1e-4);
            Assert.Equal(LogSoftmax(members.Small)[ids[i]], streams.GetProperty("qa anti").GetDouble(), 1e-4);
            Assert.Equal(LogSoftmax(members.Poet)[ids[i]], streams.GetProperty("poet").GetDouble(), 1e-4);
            Assert.Equal(Top(members.Base, 1).Single(), choiceOfBase.GetProperty("id").GetInt32());
            Assert.Equal(LogSoftmax(members.Base).Max(), choiceOfBase.GetProperty("logprob").GetDouble(), 1e-4);
            Assert.Equal(Divergence(Keep(fused, kept), members.Base), trace[i].GetProperty("divergence").GetDouble(), 1e-4);
            Assert.Equal(kept.Length, trace[i].GetProperty("kept").GetInt32());
            Assert.False(trace[i].GetProperty("saturated").GetBoolean());
            Assert.Equal(JsonValueKind.Null, trace[i].GetProperty("gated").ValueKind);
        }
    }

    [Fact]
    public async Task Chat_Traced_SummarisesItsTokens()
    {
        JsonElement trace = (await gateway.AskAsync(
            MethodsGateway.Any, """{"method":"dynamic","experts":{"poet":1},"schedule":{"kind":"gated","threshold":0.02},"trace":true}""", 30, bias: Endless))
            .GetProperty("choices")[0].GetProperty("fusion_trace");
        JsonElement[] tokens = [.. trace.GetProperty("tokens").EnumerateArray()];
        JsonElement summary = trace.GetProperty("summary");
        JsonElement[] gated = [.. tokens.Where(token => token.GetProperty("gated").ValueKind == JsonValueKind.Object)];

        Assert.Equal(30, tokens.Length);
        Assert.Equal(30, summary.GetProperty("tokens").GetInt32());
        Assert.Equal(tokens.Average(token => token.GetProperty("weights").GetProperty("qa").GetDouble()), summary.GetProperty("mean_weights").GetProperty("qa").GetDouble(), 1e-6);
        Assert.Equal(tokens.Average(token => token.GetProperty("divergence").GetDouble()), summary.GetProperty("mean_divergence").GetDouble(), 1e-6);
        Assert.Equal(tokens.Max(token => token.GetProperty("divergence").GetDouble()), summary.GetProperty("max_divergence").GetDouble());
        int changed = tokens.Count(token => token.GetProperty("id").GetInt32() != token.GetProperty("base_choice").GetProperty("id").GetInt32());
        Assert.Equal(changed, summary.GetProperty("changed_choices").GetInt32());
        Assert.Equal(changed / 30.0, summary.GetProperty("changed_share").GetDouble(), 1e-9);
        Assert.Equal(gated.Length, summary.GetProperty("gated").GetInt32());
        Assert.Equal(gated.Count(token => token.GetProperty("gated").GetProperty("changes_choice").GetBoolean()), summary.GetProperty("gated_changing").GetInt32());
        Assert.Equal(tokens.Count(token => token.GetProperty("saturated").GetBoolean()), summary.GetProperty("saturated").GetInt32());
    }

    [Theory]
    [InlineData(Chat)]
    [InlineData(Text)]
    public async Task Post_TracedStream_HasTheWholeAnswersTraceBesideTheText(string path)
    {
        Dictionary<string, object?> question = AnswerTests.Question(12, new()
        {
            ["model"] = MethodsGateway.Any,
            ["n"] = 2,
            ["fusion"] = new { trace = true },
            ["prompt"] = "Where?",
            ["logprobs"] = path == Chat ? true : 0,
        });
        JsonElement whole = await gateway.Server.AnswerAsync(path, question);
        question["stream"] = true;
        JsonElement[] events = [.. (await gateway.Server.EventsAsync(path, question)).SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement)];

        foreach (JsonElement expected in whole.GetProperty("choices").EnumerateArray())
        {
            JsonElement[] parts = [.. events.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
                .Where(part => part.GetProperty("index").GetInt32() == expected.GetProperty("index").GetInt32())];
            JsonElement trace = expected.GetProperty("fusion_trace");
            AssertClose(JsonSerializer.SerializeToElement(trace.GetProperty("tokens")), JsonSerializer.SerializeToElement(parts.SelectMany(Traced)));
            AssertClose(trace.GetProperty("summary"), parts[^1].GetProperty("fusion_trace").GetProperty("summary"));
            Assert.All(parts, part => Assert.Equal(Scored(part, path), Traced(part).Select(token => token.GetProperty("token").GetString())));
        }
    }

    /// <summary>Rounds numbers, because their last digits depend on the other rows of a pass.</summary>
    private static void AssertClose(JsonElement expected, JsonElement given)
    {
        Assert.Equal(expected.ValueKind, given.ValueKind);
        switch (expected.ValueKind)
        {
            case JsonValueKind.Number:
                Assert.Equal(expected.GetDouble(), given.GetDouble(), 1e-4);
                break;
            case JsonValueKind.Array:
                Assert.Equal(expected.GetArrayLength(), given.GetArrayLength());
                Assert.All(expected.EnumerateArray().Zip(given.EnumerateArray()), pair => AssertClose(pair.First, pair.Second));
                break;
            case JsonValueKind.Object:
                Assert.Equal(expected.EnumerateObject().Select(field => field.Name), given.EnumerateObject().Select(field => field.Name));
                Assert.All(expected.EnumerateObject(), field => AssertClose(field.Value, given.GetProperty(field.Name)));
                break;
            default:
                Assert.Equal(expected.GetRawText(), given.GetRawText());
                break;
        }
    }

    [Fact]
    public async Task Text_TracedEcho_HasAnEntryForEachScoredToken()
    {
        JsonElement choice = (await gateway.Server.AnswerAsync(Text, new
        {
            model = MethodsGateway.Any,
            prompt = "Where?",
            echo = true,
            max_tokens = 3,
            logprobs = 0,
            logit_bias = Endless,
            fusion = new { trace = true },
        })).GetProperty("choices")[0];
        JsonElement[] tokens = [.. choice.GetProperty("fusion_trace").GetProperty("tokens").EnumerateArray()];

        Assert.Equal(choice.GetProperty("logprobs").GetProperty("tokens").GetArrayLength(), tokens.Length);
        Assert.Equal(JsonValueKind.Null, tokens[0].ValueKind);
        Assert.Equal("here?", string.Concat(tokens[1..6].Select(token => token.GetProperty("token").GetString())));
        Assert.Equal(8, choice.GetProperty("fusion_trace").GetProperty("summary").GetProperty("tokens").GetInt32());
    }

    [Theory]
    [InlineData(Chat, false)]
    [InlineData(Chat, true)]
    [InlineData(Text, false)]
    [InlineData(Text, true)]
    public async Task Post_TracedAnswerThatEndsAtOnce_HasAnEmptyListOfTokens(string path, bool stream)
    {
        Dictionary<string, object?> question = AnswerTests.Question(12, new()
        {
            ["model"] = MethodsGateway.Any,
            ["fusion"] = new { trace = true },
            ["prompt"] = "Where?",
            ["logit_bias"] = new Dictionary<string, double> { ["0"] = 100 },
            ["stream"] = stream,
        });
        JsonElement choice = stream
            ? (await gateway.Server.EventsAsync(path, question)).SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0]).Last()
            : (await gateway.Server.AnswerAsync(path, question)).GetProperty("choices")[0];

        Assert.Equal(0, choice.GetProperty("fusion_trace").GetProperty("tokens").GetArrayLength());
        Assert.Equal(1, choice.GetProperty("fusion_trace").GetProperty("summary").GetProperty("tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_NotTraced_HasNoTrace() =>
        Assert.False((await gateway.AskAsync(MethodsGateway.Any, null)).GetProperty("choices")[0].TryGetProperty("fusion_trace", out _));

    [Theory]
    [InlineData(1, 1, 4096, false, null)]
    [InlineData(2, 2, 1024, false, null)]
    [InlineData(2, 2, 1025, false, "4100 tokens; accepted are 4096, so max_tokens of at most 1024 for each of the 4 answers")]
    [InlineData(1, 1, null, false, "4999 tokens; accepted are 4096, so max_tokens of at most 4096.")]
    [InlineData(1, 1, 4095, true, null)]
    [InlineData(1, 1, 4096, true, "4097 tokens; accepted are 4096, so max_tokens of at most 4095.")]
    [InlineData(4097, 1, 1, false, "4097 tokens; accepted are 4096, so fewer or shorter prompts")]
    public void Check_TokensToTrace_AreBounded(int prompts, int choices, int? maxTokens, bool score, string? words)
    {
        using FakeLanguageModel model = new("base", contextLength: 5000);
        Prompt prompt = Prompt.For(model, new int[1]);
        prompt = prompt with { Plan = prompt.Plan with { Trace = true } };
        GenerationRequestTemplate template = new(new CompletionRequest(), 10, new(maxTokens, null, score));

        Exception? error = Record.Exception(() => TraceLimit.Check([.. Enumerable.Repeat(prompt, prompts)], choices, template));

        Assert.Equal(words is null, error is null);
        Assert.Contains(words ?? "", error?.Message ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_TraceTooLong_NamesTheField()
    {
        using HttpResponseMessage response = await gateway.Server.PostAsync(
            Text, new { model = MethodsGateway.Any, prompt = Enumerable.Repeat("a", 32), n = 8, max_tokens = 17, fusion = new { trace = true } });

        await BadRequestTests.AssertErrorAsync(response, 400, "fusion.trace", "invalid_value", ["true", "4352", "4096", "at most 16"]);
    }

    private static IEnumerable<JsonElement> Traced(JsonElement part) =>
        part.TryGetProperty("fusion_trace", out JsonElement trace) && trace.TryGetProperty("tokens", out JsonElement tokens) ? tokens.EnumerateArray() : [];

    private static IEnumerable<string?> Scored(JsonElement part, string path) =>
        !part.TryGetProperty("logprobs", out JsonElement logprobs) || logprobs.ValueKind == JsonValueKind.Null ? []
        : path == Chat ? logprobs.GetProperty("content").EnumerateArray().Select(token => token.GetProperty("token").GetString())
        : logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString());
}
