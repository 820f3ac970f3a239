using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests the reported cached tokens of prompts with a known prefix, and which callers share prefixes.</summary>
[Collection(GatewayCollection.Name)]
public class PrefixCacheTests(RunningGateway gateway)
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";

    private static int next;

    [Fact]
    public async Task Chat_NextTurnOfAConversation_ReportsCachedTokens()
    {
        string first = Unique();
        JsonElement answer = await AskAsync([first]);
        Assert.Equal(0, Cached(answer));
        string said = answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        int prompt = answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();

        JsonElement second = await AskAsync([first, said, "And then?"]);

        Assert.InRange(Cached(second), prompt - 15, second.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() - 1);
        Assert.Equal(0, Cached(second) % 16);
    }

    [Fact]
    public async Task Chat_SameQuestionAgain_GivesTheSameAnswer()
    {
        string question = Unique();
        JsonElement[] answers = [await AskAsync([question]), await AskAsync([question])];
        Assert.Equal([true, false], answers.Select(answer => Cached(answer) == 0));
        string?[] texts = [.. answers.Select(answer => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString())];
        Assert.Equal(texts[0], texts[1]);
    }

    [Fact]
    public async Task Completions_StreamedOrSeveral_ReportCachedTokensOncePerPrompt()
    {
        string[] prompts = [Unique(), Unique()];
        JsonElement first = await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt = prompts, n = 2, max_tokens = 1 });
        Assert.Equal(0, Cached(first));
        IReadOnlyList<string> events = await gateway.EventsAsync(
            Text, new { model = TinyFamily.Fused, prompt = prompts, n = 2, max_tokens = 1, stream = true, stream_options = new { include_usage = true } });
        int tokens = first.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
        Assert.Equal(tokens - 2, Cached(JsonDocument.Parse(events[^2]).RootElement));
    }

    [Theory]
    [InlineData("one", null, "one", null, true)]
    [InlineData(null, null, null, null, true)]
    [InlineData("one", null, "two", null, false)]
    [InlineData("one", null, null, null, false)]
    [InlineData("one", "x", "one", "y", false)]
    [InlineData("one", "x", "one", null, false)]
    [InlineData("one", "x", "one", "x", true)]
    public async Task Chat_KeyAndSalt_DecideWhetherPrefixesAreShared(string? key, string? salt, string? otherKey, string? otherSalt, bool shared)
    {
        string question = Unique();
        await AskAsync([question], key, salt);
        Assert.Equal(shared, Cached(await AskAsync([question], otherKey, otherSalt)) > 0);
    }

    private static int Cached(JsonElement answer) =>
        answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

    // All have the same length, and no two share a block of the prefix cache.
    private static string Unique() => $"{Interlocked.Increment(ref next):0000} is my number. What is yours?";

    private async Task<JsonElement> AskAsync(string[] turns, string? key = null, string? salt = null)
    {
        object[] messages = [.. turns.Select((text, i) => new { role = i % 2 == 0 ? "user" : "assistant", content = text })];
        using HttpRequestMessage request = new(HttpMethod.Post, Chat)
        {
            Content = JsonContent.Create(new { model = TinyFamily.Fused, messages, max_tokens = 12, temperature = 0, cache_salt = salt, user = Unique(), prompt_cache_key = Unique() }),
        };
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        using HttpResponseMessage response = await gateway.Http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }
}
