using System.Net;
using System.Text;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Checks that each bad request gets its status, OpenAI's error format, and a message with the field, the value and what is accepted.</summary>
[Collection(GatewayCollection.Name)]
public class BadRequestTests(RunningGateway gateway)
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";
    private const string Messages = """
        "messages":[{"role":"user","content":"hi"}]
        """;

    public static TheoryData<string, string, int, string?, string?, string[]> Bodies => new()
    {
        { Chat, """{"model":"nobody",MESSAGES}""", 404, "model", "model_not_found", ["nobody", "town-qa", "plain"] },
        { Chat, """{MESSAGES}""", 400, "model", "invalid_value", ["model is missing"] },
        { Chat, """{"model":"town-qa@x",MESSAGES}""", 400, "model", "invalid_value", ["town-qa@x", "number"] },
        { Chat, """{"model":"town-qa@3",MESSAGES}""", 400, "fusion.alpha", "invalid_value", ["3", "0 to 2"] },
        { Chat, """{"model":"town-qa@NaN",MESSAGES}""", 400, "fusion.alpha", "invalid_value", ["NaN", "0 to 2"] },
        { Chat, """{"model":"town-qa","fusion":{"experts":{"poet":1}},MESSAGES}""", 404, "fusion.experts.poet", "expert_not_found", ["poet", "qa"] },
        { Chat, """{"model":"town-qa","fusion":{"alpha":-0.1},MESSAGES}""", 400, "fusion.alpha", "invalid_value", ["-0.1", "0 to 2"] },
        { Chat, """{"model":"town-qa","fusion":{"experts":{"qa":1.6}},MESSAGES}""", 400, "fusion.experts.qa", "invalid_value", ["1.6", "-1 to 1.5"] },
        { Chat, """{"model":"town-qa","fusion":{"alpha":"1.2"},MESSAGES}""", 400, "fusion.alpha", "invalid_value", ["\"1.2\"", "a number"] },
        { Chat, """{"model":"town-qa","fusion":{"beta":1},MESSAGES}""", 400, "fusion.beta", "invalid_value", ["alpha", "experts"] },
        { Chat, """{"model":"town-qa","fusion":1.2,MESSAGES}""", 400, "fusion", "invalid_value", ["1.2", "an object"] },
        { Chat, """{"model":"plain","fusion":{"alpha":1},MESSAGES}""", 400, "fusion.alpha", "invalid_value", ["is 1", "method none", "leave it out"] },
        { Chat, """{"model":"plain","messages":[""", 400, null, "invalid_value", ["not valid JSON", "line 1"] },
        { Chat, "", 400, null, "invalid_value", ["not valid JSON"] },
        { Chat, $$"""{"model":"plain","metadata":{{new string('[', 99)}}{{new string(']', 99)}},MESSAGES}""", 400, null, "invalid_value", ["JSON", "line 1"] },
        { Chat, """{"\ud800":1,"model":"plain",MESSAGES}""", 400, null, "invalid_value", ["Unicode", "UTF-8"] },
        { Chat, """{"model":"plain","temperature":0,"temperature":2,MESSAGES}""", 400, "temperature", "invalid_value", ["twice", "2"] },
        { Chat, """{"model":"town-qa","fusion":{"alpha":1,"experts":{"qa":1,"qa":0.5}},MESSAGES}""", 400, "fusion.experts.qa", "invalid_value", ["twice", "0.5"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","role":"system","content":"x"}]}""", 400, "messages[0].role", "invalid_value", ["twice", "system"] },
        { Chat, "[1]", 400, null, "invalid_value", ["[1]", "JSON object"] },
        { Chat, """{"model":"plain"}""", 400, "messages", "invalid_value", ["messages is missing"] },
        { Chat, """{"model":"plain","messages":[]}""", 400, "messages", "invalid_value", ["messages is []", "at least one"] },
        { Chat, """{"model":"plain","messages":"hi"}""", 400, "messages", "invalid_value", ["\"hi\"", "array"] },
        { Chat, """{"model":"plain","messages":[null]}""", 400, "messages[0].role", "invalid_value", ["missing", "assistant"] },
        { Chat, """{"model":"plain","messages":[{"role":"tool","content":"x"}]}""", 400, "messages[0].role", "invalid_value", ["tool", "assistant"] },
        { Chat, """{"model":"plain","messages":[{"role":"user"}]}""", 400, "messages[0].content", "invalid_value", ["missing", "text parts"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","content":5}]}""", 400, "messages[0].content", "invalid_value", ["5", "text parts"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", 400, "messages[0].content", "invalid_value", ["image_url", "text parts"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","content":"\ud800"}]}""", 400, "messages[0].content", "invalid_value", ["text parts"] },
        { Chat, """{"model":"plain","max_tokens":-1,MESSAGES}""", 400, "max_tokens", "invalid_value", ["-1", "at least 1"] },
        { Chat, """{"model":"plain","max_completion_tokens":0,MESSAGES}""", 400, "max_completion_tokens", "invalid_value", ["0", "at least 1"] },
        { Chat, """{"model":"plain","max_tokens":"many",MESSAGES}""", 400, "max_tokens", "invalid_value", ["\"many\"", "an integer of at least 1"] },
        { Chat, """{"model":"plain","max_tokens":1.5,MESSAGES}""", 400, "max_tokens", "invalid_value", ["1.5", "an integer"] },
        { Chat, """{"model":"plain","temperature":"hot",MESSAGES}""", 400, "temperature", "invalid_value", ["\"hot\"", "a number from 0 to 2"] },
        { Chat, """{"model":"plain","temperature":2.1,MESSAGES}""", 400, "temperature", "invalid_value", ["2.1", "a number from 0 to 2"] },
        { Chat, """{"model":"plain","temperature":1e999,MESSAGES}""", 400, "temperature", "invalid_value", ["1e999", "a number from 0 to 2"] },
        { Chat, """{"model":"plain","top_p":-0.5,MESSAGES}""", 400, "top_p", "invalid_value", ["-0.5", "from 0 to 1"] },
        { Chat, """{"model":"plain","top_k":-1,MESSAGES}""", 400, "top_k", "invalid_value", ["-1", "at least 0"] },
        { Chat, """{"model":"plain","min_p":2,MESSAGES}""", 400, "min_p", "invalid_value", ["2", "from 0 to 1"] },
        { Chat, """{"model":"plain","presence_penalty":3,MESSAGES}""", 400, "presence_penalty", "invalid_value", ["3", "from -2 to 2"] },
        { Chat, """{"model":"plain","repetition_penalty":0,MESSAGES}""", 400, "repetition_penalty", "invalid_value", ["0", "from 0.01 to 100"] },
        { Chat, """{"model":"plain","logit_bias":{"5":101},MESSAGES}""", 400, "logit_bias", "invalid_value", ["101", "-100 to 100"] },
        { Chat, """{"model":"plain","logit_bias":{"9999":1},MESSAGES}""", 400, "logit_bias", "invalid_value", ["9999", "0 to 260"] },
        { Chat, """{"model":"plain","logit_bias":{"word":1},MESSAGES}""", 400, "logit_bias.word", "invalid_value", ["token id"] },
        { Chat, """{"model":"plain","seed":"x",MESSAGES}""", 400, "seed", "invalid_value", ["\"x\"", "an integer"] },
        { Chat, """{"model":"plain","seed":9223372036854775808,MESSAGES}""", 400, "seed", "invalid_value", ["9223372036854775808", "an integer"] },
        { Chat, """{"model":"plain","seed":9223372036854775808,MESSAGES}""", 400, "seed", "invalid_value", ["from -9223372036854775808 to 9223372036854775807"] },
        { Chat, """{"model":"plain","max_tokens":3000000000,MESSAGES}""", 400, "max_tokens", "invalid_value", ["3000000000", "at least 1, and at most 2147483647"] },
        { Chat, """{"model":"plain","top_k":3000000000,MESSAGES}""", 400, "top_k", "invalid_value", ["3000000000", "at least 0, and at most 2147483647"] },
        { Chat, """{"model":"plain","logit_bias":{"3000000000":1},MESSAGES}""", 400, "logit_bias.3000000000", "invalid_value", ["token id", "size of the model's vocabulary"] },
        { Text, """{"model":"plain","prompt":[3000000000]}""", 400, "prompt", "invalid_value", ["[3000000000]", "size of the model's vocabulary"] },
        { Chat, """{"model":"plain","max_tokens":1,"max_tokens":2,MESSAGES}""", 400, "max_tokens", "invalid_value", ["max_tokens is given twice, the second time as 2"] },
        { Chat, """{"model":"plain","m\u006fdel":"town-qa",MESSAGES}""", 400, "model", "invalid_value", ["model is given twice"] },
        { Chat, """{"model":"plain","tools":[{"type":"function"}],"tools":[],MESSAGES}""", 400, "tools", "invalid_value", ["tools is given twice"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","content":"a","content":"b"}]}""", 400, "messages[0].content", "invalid_value", ["messages[0].content is given twice"] },
        { Chat, """{"model":"plain","logit_bias":{"5":1,"5":2},MESSAGES}""", 400, "logit_bias.5", "invalid_value", ["logit_bias.5 is given twice"] },
        { Chat, """{"model":"plain","user":"\ud83d",MESSAGES}""", 400, "user", "invalid_value", ["user holds text that is not valid Unicode", "half of a surrogate pair"] },
        { Chat, """{"model":"plain","messages":[{"role":"user","content":"\ude00"}]}""", 400, "messages[0].content", "invalid_value", ["messages[0].content holds text that is not valid Unicode", "half of a surrogate pair"] },
        { Text, """{"model":"plain","prompt":["a","\ude00"]}""", 400, "prompt", "invalid_value", ["prompt[1] holds text that is not valid Unicode", "half of a surrogate pair"] },
        { Text, """{"model":"town-qa@ 1","prompt":"a"}""", 400, "model", "invalid_value", ["'town-qa@ 1'", "town-qa@1.2"] },
        { Text, """{"model":"town-qa@1 ","prompt":"a"}""", 400, "model", "invalid_value", ["'town-qa@1 '", "town-qa@1.2"] },
        { Chat, """{"model":"plain","stop":["a","b","c","d","e"],MESSAGES}""", 400, "stop", "invalid_value", ["up to 4"] },
        { Chat, $$"""{"model":"plain","stop":"{{new string('a', 1025)}}",MESSAGES}""", 400, "stop", "invalid_value", ["at most 1024 characters"] },
        { Chat, $$"""{"model":"plain","logit_bias":{{{string.Join(',', Enumerable.Range(0, 301).Select(i => $"\"{i}\":1"))}}},MESSAGES}""", 400, "logit_bias", "invalid_value", ["301 tokens", "at most 300"] },
        { Chat, """{"model":"plain","stop":"",MESSAGES}""", 400, "stop", "invalid_value", ["non-empty"] },
        { Chat, """{"model":"plain","n":9,MESSAGES}""", 400, "n", "invalid_value", ["9", "from 1 to 8"] },
        { Chat, """{"model":"plain","stream":"yes",MESSAGES}""", 400, "stream", "invalid_value", ["\"yes\"", "true or false"] },
        { Chat, """{"model":"plain","logprobs":true,"top_logprobs":21,MESSAGES}""", 400, "top_logprobs", "invalid_value", ["21", "from 0 to 20"] },
        { Chat, """{"model":"plain","top_logprobs":2,MESSAGES}""", 400, "top_logprobs", "invalid_value", ["logprobs: true"] },
        { Chat, """{"model":"plain","tools":[{"type":"function"}],MESSAGES}""", 400, "tools", "invalid_value", ["not supported"] },
        { Chat, """{"model":"plain","response_format":{"type":"json_object"},MESSAGES}""", 400, "response_format", "invalid_value", ["not supported"] },
        { Text, """{"model":"plain"}""", 400, "prompt", "invalid_value", ["prompt is missing"] },
        { Text, """{"model":"plain","prompt":""}""", 400, "prompt", "invalid_value", ["empty"] },
        { Text, """{"model":"plain","prompt":[]}""", 400, "prompt", "invalid_value", ["[]", "array of token ids"] },
        { Text, """{"model":"plain","prompt":[[]]}""", 400, "prompt", "invalid_value", ["[[]]", "none of them empty"] },
        { Text, """{"model":"plain","prompt":[1,"a"]}""", 400, "prompt", "invalid_value", ["array of token ids"] },
        { Text, """{"model":"plain","prompt":[1,9999]}""", 400, "prompt", "invalid_value", ["9999", "0 to 260"] },
        { Text, """{"model":"plain","echo":true}""", 400, "prompt", "invalid_value", ["prompt is missing"] },
        { Text, """{"model":"plain","prompt":"a","echo":"yes"}""", 400, "echo", "invalid_value", ["\"yes\"", "true or false"] },
        { Text, """{"model":"plain","prompt":"a","echo":true,"logprobs":21}""", 400, "logprobs", "invalid_value", ["21", "from 0 to 20"] },
        { Text, """{"model":"plain","prompt":"a","max_tokens":0}""", 400, "max_tokens", "invalid_value", ["0", "at least 1", "echo"] },
        { Text, """{"model":"plain","prompt":"a","echo":true,"max_tokens":-1}""", 400, "max_tokens", "invalid_value", ["-1", "at least 0"] },
        { Chat, """{"model":"plain","echo":true,MESSAGES}""", 400, "echo", "invalid_value", ["echo", "not supported"] },
        { Text, """{"model":"plain","prompt":"a","logprobs":-1}""", 400, "logprobs", "invalid_value", ["-1", "from 0 to 20"] },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Post_WrongBody_IsRefusedAndTheNextIsServed(string path, string body, int status, string? param, string? code, string[] words)
    {
        using StringContent content = new(body.Replace("MESSAGES", Messages, StringComparison.Ordinal), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await gateway.Http.PostAsync(path, content);

        await AssertErrorAsync(response, status, param, code, words);
        await gateway.AnswerAsync(Text, new { model = "plain", prompt = "a", max_tokens = 1 });
    }

    /// <summary>Bytes that are not UTF-8, in bodies that are objects and in others.</summary>
    [Theory]
    [InlineData("\"é\"")]
    [InlineData("[\"é\"]")]
    [InlineData("{\"é\":1,\"model\":\"plain\"}")]
    [InlineData("{\"model\":\"é\"}")]
    public async Task Post_BytesThatAreNotUtf8_AreRefused(string latin)
    {
        using ByteArrayContent content = new(Encoding.Latin1.GetBytes(latin)) { Headers = { ContentType = new("application/json") } };
        using HttpResponseMessage response = await gateway.Http.PostAsync(Chat, content);

        await AssertErrorAsync(response, 400, null, "invalid_value", ["UTF-8"]);
    }

    /// <summary>Only the beginning of megabytes is tokenised.</summary>
    [Theory]
    [InlineData(Chat, "messages")]
    [InlineData(Text, "prompt")]
    public async Task Post_PromptOfMegabytes_IsRefusedByItsBeginning(string path, string field)
    {
        string prompt = new('x', 3_600_000);
        object body = field == "prompt" ? new { model = TinyFamily.Fused, prompt } : new { model = TinyFamily.Fused, messages = new[] { new { role = "user", content = prompt } } };
        using HttpResponseMessage response = await gateway.PostAsync(path, body);

        await AssertErrorAsync(response, 400, field, "context_length_exceeded", ["3600000 characters", "the first 2048"]);
    }

    [Theory]
    [InlineData(Chat, "messages")]
    [InlineData(Text, "prompt")]
    public async Task Post_PromptLongerThanContext_ReturnsContextLengthExceeded(string path, string field)
    {
        string prompt = new('x', TinyFamily.ContextLength);
        object body = field == "prompt"
            ? new { model = TinyFamily.Fused, prompt }
            : new { model = TinyFamily.Fused, messages = new[] { new { role = "user", content = prompt } } };
        using HttpResponseMessage response = await gateway.PostAsync(path, body);

        await AssertErrorAsync(response, 400, field, "context_length_exceeded", ["128"]);
    }

    [Fact]
    public async Task Post_RepeatedNameThatIsNotRead_IsServed()
    {
        using StringContent content = new("""{"model":"plain","prompt":"a","max_tokens":1,"metadata":1,"metadata":{"a":1,"a":2}}""", Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await gateway.Http.PostAsync(Text, content);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("alpha=a lot")]
    [InlineData("alpha")]
    [InlineData("=1")]
    [InlineData("{\"alpha\":}")]
    [InlineData("{\"beta\":1}")]
    public async Task Post_BrokenFusionHeader_IsRefused(string header)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, Text);
        request.Content = new StringContent("""{"model":"town-qa","prompt":"a"}""", Encoding.UTF8, "application/json");
        request.Headers.Add("X-Fusion", header);
        using HttpResponseMessage response = await gateway.Http.SendAsync(request);

        await AssertErrorAsync(response, 400, "X-Fusion", "invalid_value", [$"'{header}'", "FIELD=VALUE", "EXPERT=NUMBER", "alpha"]);
    }

    [Fact]
    public async Task Post_BodyTooLarge_Returns413()
    {
        using HttpResponseMessage response = await gateway.PostAsync(Chat, new { model = "plain", user = new string('x', 5_000_000) });

        await AssertErrorAsync(response, 413, null, "request_too_large", ["larger"]);
    }

    [Fact]
    public async Task Post_BodyTooLargeWithoutLength_Returns413()
    {
        using StreamContent content = new(new MemoryStream(Encoding.UTF8.GetBytes($"\"{new string('x', 5_000_000)}\"")));
        content.Headers.ContentType = new("application/json");
        using HttpRequestMessage request = new(HttpMethod.Post, Chat) { Content = content };
        request.Headers.TransferEncodingChunked = true;
        using HttpResponseMessage response = await gateway.Http.SendAsync(request);

        await AssertErrorAsync(response, 413, null, "request_too_large", ["larger"]);
    }

    [Theory]
    [InlineData("content")]
    [InlineData("user")]
    [InlineData("fusion")]
    public async Task Post_BytesThatAreNoText_AreRefused(string field)
    {
        string body = $$"""{"model":"plain","messages":[{"role":"user","content":"hi"}],"{{field}}":"?"}""";
        body = field == "content" ? body.Replace("hi", "?", StringComparison.Ordinal) : body;
        using ByteArrayContent content = new([.. Encoding.UTF8.GetBytes(body).Select(value => value == '?' ? (byte)0xFF : value)]);
        content.Headers.ContentType = new("application/json");
        using HttpResponseMessage response = await gateway.Http.PostAsync(Chat, content);

        await AssertErrorAsync(response, 400, null, "invalid_value", [field, "Unicode", "UTF-8"]);
    }

    [Fact]
    public async Task Post_OtherContentType_Returns415()
    {
        using StringContent content = new("model=plain", Encoding.UTF8, "application/x-www-form-urlencoded");
        using HttpResponseMessage response = await gateway.Http.PostAsync(Chat, content);

        await AssertErrorAsync(response, 415, null, "unsupported_media_type", ["application/json"]);
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "not_found")]
    [InlineData("GET", "/", 404, "not_found")]
    [InlineData("GET", Chat, 405, "method_not_allowed")]
    [InlineData("DELETE", "/v1/models", 405, "method_not_allowed")]
    [InlineData("OPTIONS", Chat, 405, "method_not_allowed")]
    [InlineData("GET", "/v1/models/nobody", 404, "model_not_found")]
    public async Task Request_WrongRoute_HasOpenAIsErrorShape(string method, string path, int status, string code)
    {
        using HttpResponseMessage response = await gateway.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        await AssertErrorAsync(response, status, code == "model_not_found" ? "model" : null, code, []);
    }

    internal static async Task AssertErrorAsync(HttpResponseMessage response, int status, string? param, string? code, string[] words)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == (HttpStatusCode)status, $"{response.StatusCode}: {text}");
        JsonElement error = JsonDocument.Parse(text).RootElement.GetProperty("error");
        Assert.Equal(["code", "message", "param", "type"], error.EnumerateObject().Select(field => field.Name).Order());
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.NotNull(error.GetProperty("type").GetString());
        Assert.All(words, word => Assert.Contains(word, error.GetProperty("message").GetString(), StringComparison.Ordinal));
    }
}
