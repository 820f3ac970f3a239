using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests the contents of whole and streamed answers.</summary>
[Collection(GatewayCollection.Name)]
public class AnswerTests(RunningGateway gateway)
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";

    [Fact]
    public async Task Chat_Whole_HasEveryFieldThatClientsRead()
    {
        JsonElement answer = await gateway.AnswerAsync(Chat, Question(8, new() { ["logprobs"] = true, ["top_logprobs"] = 3 }));

        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.True(answer.GetProperty("created").TryGetInt64(out long created) && created > 1_700_000_000);
        Assert.Equal(TinyFamily.Fused, answer.GetProperty("model").GetString());
        Assert.Matches("^fp_[0-9a-f]{16}$", answer.GetProperty("system_fingerprint").GetString());
        JsonElement choice = answer.GetProperty("choices")[0];
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        JsonElement usage = answer.GetProperty("usage");
        Assert.Equal(8, usage.GetProperty("completion_tokens").GetInt32());
        Assert.Equal(usage.GetProperty("prompt_tokens").GetInt32() + 8, usage.GetProperty("total_tokens").GetInt32());
        JsonElement[] tokens = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        Assert.Equal(8, tokens.Length);
        Assert.All(tokens, token =>
        {
            Assert.InRange(token.GetProperty("logprob").GetSingle(), -9999, 0);
            Assert.NotEmpty(token.GetProperty("bytes").EnumerateArray());
            float[] top = [.. token.GetProperty("top_logprobs").EnumerateArray().Select(entry => entry.GetProperty("logprob").GetSingle())];
            Assert.Equal(3, top.Length);
            Assert.Equal(top.OrderDescending(), top);
        });
    }

    [Fact]
    public async Task Chat_LogprobsWithoutTop_HasEmptyTopLists()
    {
        JsonElement answer = await gateway.AnswerAsync(Chat, Question(2, new() { ["logprobs"] = true }));

        JsonElement tokens = answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content");
        Assert.All(tokens.EnumerateArray(), token => Assert.Empty(token.GetProperty("top_logprobs").EnumerateArray()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Chat_Streamed_EqualsWholeAnswer(int choices)
    {
        Dictionary<string, object?> question = Question(20, new() { ["n"] = choices, ["logprobs"] = true });
        JsonElement whole = await gateway.AnswerAsync(Chat, question);
        JsonElement[] chunks = await ChunksAsync(Chat, question);

        Assert.Equal(1, chunks[0].GetProperty("fusion").GetProperty("alpha").GetDouble());
        for (int index = 0; index < choices; index++)
        {
            JsonElement[] parts = [.. chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray()).Where(part => part.GetProperty("index").GetInt32() == index)];
            JsonElement expected = whole.GetProperty("choices")[index];
            Assert.Equal(expected.GetProperty("message").GetProperty("content").GetString(), string.Concat(parts.Select(Content)));
            Assert.Equal("assistant", parts[0].GetProperty("delta").GetProperty("role").GetString());
            Assert.Equal(expected.GetProperty("finish_reason").GetString(), parts[^1].GetProperty("finish_reason").GetString());
            Assert.All(parts[..^1], part => Assert.Equal(JsonValueKind.Null, part.GetProperty("finish_reason").ValueKind));
            Assert.Equal(
                expected.GetProperty("logprobs").GetProperty("content").GetArrayLength(),
                parts.Where(part => part.GetProperty("logprobs").ValueKind == JsonValueKind.Object).Sum(part => part.GetProperty("logprobs").GetProperty("content").GetArrayLength()));
        }
    }

    [Fact]
    public async Task Chat_StreamedWithUsage_EndsWithUsageThenDone()
    {
        Dictionary<string, object?> question = Question(5, new() { ["stream_options"] = new { include_usage = true } });
        JsonElement[] chunks = await ChunksAsync(Chat, question);

        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Equal(5, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.All(chunks[..^1], chunk => Assert.False(chunk.TryGetProperty("usage", out _)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Text_Streamed_EqualsWholeAnswer(int choices)
    {
        Dictionary<string, object?> question = new() { ["model"] = TinyFamily.Plain, ["prompt"] = new[] { "a", "b" }, ["n"] = choices, ["seed"] = 5, ["logprobs"] = 1 };
        JsonElement whole = await gateway.AnswerAsync(Text, question);
        JsonElement[] chunks = await ChunksAsync(Text, question);

        Assert.Equal(2 * choices, whole.GetProperty("choices").GetArrayLength());
        foreach (JsonElement expected in whole.GetProperty("choices").EnumerateArray())
        {
            IEnumerable<JsonElement> parts = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
                .Where(part => part.GetProperty("index").GetInt32() == expected.GetProperty("index").GetInt32());
            Assert.Equal(expected.GetProperty("text").GetString(), string.Concat(parts.Select(part => part.GetProperty("text").GetString())));
        }
    }

    [Fact]
    public async Task Text_FourShapesOfOnePrompt_GiveOneAnswer()
    {
        int[] ids = [.. "Where".Select(letter => 5 + letter)];
        object[] shapes = ["Where", new[] { "Where" }, ids, new[] { ids }];
        List<string?> texts = [];
        foreach (object prompt in shapes)
        {
            JsonElement answer = await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt, seed = 3 });
            texts.Add(answer.GetProperty("choices")[0].GetProperty("text").GetString());
            Assert.Equal(5, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
            Assert.Equal(16, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        }

        Assert.Single(texts.Distinct());
    }

    [Fact]
    public async Task Text_Logprobs_AreParallelListsWithOffsetsIntoTheText()
    {
        JsonElement choice = (await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt = "a", seed = 3, logprobs = 2, logit_bias = OnlyLetters() }))
            .GetProperty("choices")[0];
        JsonElement logprobs = choice.GetProperty("logprobs");
        string text = choice.GetProperty("text").GetString()!;

        string[] tokens = [.. logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)];
        Assert.Equal(text, string.Concat(tokens));
        Assert.Equal(tokens.Length, logprobs.GetProperty("token_logprobs").GetArrayLength());
        Assert.Equal(Enumerable.Range(0, tokens.Length), logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        Assert.All(logprobs.GetProperty("top_logprobs").EnumerateArray(), top => Assert.InRange(top.EnumerateObject().Count(), 1, 2)); // Bytes that are no character share one text.
    }

    [Fact]
    public async Task Chat_MoreChoices_KeepTheFirstAndDiffer()
    {
        JsonElement one = await gateway.AnswerAsync(Chat, Question(20));
        JsonElement three = await gateway.AnswerAsync(Chat, Question(20, new() { ["n"] = 3 }));

        string?[] texts = [.. three.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString())];
        Assert.Equal(one.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), texts[0]);
        Assert.Equal(3, texts.Distinct().Count());
        Assert.Equal(60, three.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(one.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), three.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_ContentParts_AreReadAsTheirText()
    {
        object parts = new[] { new { type = "text", text = "Whe" }, new { type = "text", text = "re?" } };
        JsonElement joined = await gateway.AnswerAsync(Chat, Question(12));
        JsonElement split = await gateway.AnswerAsync(Chat, Question(12, new() { ["messages"] = new[] { new { role = "user", content = parts } } }));

        Assert.Equal(ContentOf(joined), ContentOf(split));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Chat_StopString_EndsBeforeItAndNeverLeaks(bool stream)
    {
        Dictionary<string, object?> question = Question(40, new() { ["logit_bias"] = OnlyLetters() });
        string text = ContentOf(await gateway.AnswerAsync(Chat, question));
        string stop = text.Substring(10, 3);
        question["stop"] = stop;
        question["logprobs"] = true;

        string stopped;
        int tokens;
        string? finish;
        if (stream)
        {
            JsonElement[] parts = [.. (await ChunksAsync(Chat, question)).Select(chunk => chunk.GetProperty("choices")[0])];
            stopped = string.Concat(parts.Select(Content));
            finish = parts[^1].GetProperty("finish_reason").GetString();
            tokens = parts.Where(part => part.GetProperty("logprobs").ValueKind == JsonValueKind.Object).Sum(part => part.GetProperty("logprobs").GetProperty("content").GetArrayLength());
        }
        else
        {
            JsonElement answer = await gateway.AnswerAsync(Chat, question);
            stopped = ContentOf(answer);
            finish = answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString();
            tokens = answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").GetArrayLength();
            Assert.Equal(stopped.Length + 3, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        }

        Assert.Equal(text[..text.IndexOf(stop, StringComparison.Ordinal)], stopped);
        Assert.Equal("stop", finish);
        Assert.Equal(stopped.Length, tokens);
    }

    [Fact]
    public async Task Chat_StopStringCompletesWithTheLastToken_FinishesWithStop()
    {
        Dictionary<string, object?> question = Question(40, new() { ["logit_bias"] = OnlyLetters() });
        string text = ContentOf(await gateway.AnswerAsync(Chat, question));
        string stop = text.Substring(10, 3);
        int start = text.IndexOf(stop, StringComparison.Ordinal);
        question["stop"] = stop;
        question["max_tokens"] = start + 3;
        JsonElement answer = await gateway.AnswerAsync(Chat, question);

        Assert.Equal(text[..start], ContentOf(answer));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(start + 3, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Text_NulCharacter_IsAnOrdinaryToken()
    {
        JsonElement answer = await gateway.AnswerAsync(Text, new { model = TinyFamily.Plain, prompt = "a\0b", max_tokens = 1 });

        Assert.Equal(3, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_EndOfTextToken_FinishesWithStopAndCounts()
    {
        JsonElement answer = await gateway.AnswerAsync(Chat, Question(40, new() { ["logit_bias"] = new Dictionary<string, double> { ["0"] = 100 } }));

        Assert.Equal("", ContentOf(answer));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(1, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_NoSeed_DrawsAnew()
    {
        Dictionary<string, object?> question = Question(30);
        question.Remove("seed");

        Assert.NotEqual(ContentOf(await gateway.AnswerAsync(Chat, question)), ContentOf(await gateway.AnswerAsync(Chat, question)));
    }

    [Fact]
    public async Task Chat_HarmlessExtras_AreIgnored() =>
        await gateway.AnswerAsync(Chat, Question(1, new()
        {
            ["tools"] = Array.Empty<object>(),
            ["response_format"] = new { type = "text" },
            ["metadata"] = new { a = 1 },
            ["user"] = "someone",
            ["stop"] = null,
            ["max_tokens"] = null,
            ["max_completion_tokens"] = 1,
            ["top_p"] = 0,
            ["seed"] = long.MinValue,
        }));

    internal static Dictionary<string, object?> Question(int maxTokens, Dictionary<string, object?>? more = null)
    {
        Dictionary<string, object?> body = new()
        {
            ["model"] = TinyFamily.Fused,
            ["messages"] = new[] { new { role = "user", content = "Where?" } },
            ["max_tokens"] = maxTokens,
            ["seed"] = 11,
        };
        foreach ((string name, object? value) in more ?? [])
        {
            body[name] = value;
        }

        return body;
    }

    internal static string ContentOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    /// <summary>Makes letters of the alphabet certain, so that each token is one character.</summary>
    private static Dictionary<string, double> OnlyLetters() =>
        Enumerable.Range('a', 26).ToDictionary(letter => (5 + letter).ToString(System.Globalization.CultureInfo.InvariantCulture), _ => 50.0);

    private static string? Content(JsonElement part) =>
        part.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : "";

    private async Task<JsonElement[]> ChunksAsync(string path, Dictionary<string, object?> question)
    {
        IReadOnlyList<string> events = await gateway.EventsAsync(path, new Dictionary<string, object?>(question) { ["stream"] = true });
        Assert.Equal("[DONE]", events[^1]);
        return [.. events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement)];
    }
}
