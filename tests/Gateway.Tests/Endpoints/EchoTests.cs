using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests echoed prompts scored by the fused model, as evaluation harnesses request them.</summary>
[Collection(GatewayCollection.Name)]
public class EchoTests(RunningGateway gateway)
{
    private const string Text = "/v1/completions";

    [Fact]
    public async Task Echo_BatchOfTokenIds_IsScoredByTheFormulaInPlainLoops()
    {
        int[][] prompts = [Ids("Where is it?"), Ids("no"), Ids("x")];
        JsonElement answer = await gateway.AnswerAsync(
            Text, new { model = "town-qa@1.5", prompt = prompts, max_tokens = 0, echo = true, logprobs = 1, temperature = 0 });

        SlowLlama[] members = [.. new[] { TinyFamily.Base, TinyFamily.Expert, TinyFamily.AntiExpert }.Select(name => new SlowLlama(gateway.Family.PathOf(name)))];
        for (int k = 0; k < prompts.Length; k++)
        {
            JsonElement choice = answer.GetProperty("choices")[k];
            JsonElement logprobs = choice.GetProperty("logprobs");
            Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
            Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("token_logprobs")[0].ValueKind);
            Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("top_logprobs")[0].ValueKind);
            Assert.Equal(prompts[k].Length, logprobs.GetProperty("token_logprobs").GetArrayLength());
            double[][][] rows = [.. members.Select(member => member.Logits(prompts[k]))];
            for (int i = 1; i < prompts[k].Length; i++)
            {
                double[] row = [.. rows[0][i - 1].Select((logit, id) => logit + (1.5 * (rows[1][i - 1][id] - rows[2][i - 1][id])))];
                double normaliser = Math.Log(row.Sum(Math.Exp));
                Assert.Equal(row[prompts[k][i]] - normaliser, logprobs.GetProperty("token_logprobs")[i].GetDouble(), 1e-5 * row.Max(Math.Abs));
                Assert.Equal(row.Max() - normaliser, logprobs.GetProperty("top_logprobs")[i].EnumerateObject().Single().Value.GetDouble(), 1e-5 * row.Max(Math.Abs));
            }
        }

        Assert.Equal((15, 0), Usage(answer));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Echo_WithAnswer_PutsThePromptBeforeTheSameAnswer(bool asIds)
    {
        object prompt = asIds ? Ids("Whe re<|end|>é") : "Whe re<|end|>é";
        Dictionary<string, object?> question = new() { ["model"] = TinyFamily.Fused, ["prompt"] = prompt, ["n"] = 2, ["seed"] = 3, ["logprobs"] = 2 };
        JsonElement plain = await gateway.AnswerAsync(Text, question);
        question["echo"] = true;
        JsonElement echoed = await gateway.AnswerAsync(Text, question);

        Assert.Equal(Usage(plain), Usage(echoed));
        for (int i = 0; i < 2; i++)
        {
            JsonElement with = echoed.GetProperty("choices")[i], without = plain.GetProperty("choices")[i];
            Assert.Equal("Whe re<|end|>é" + without.GetProperty("text").GetString(), with.GetProperty("text").GetString());
            int[] offsets = [.. with.GetProperty("logprobs").GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32())];
            int[] later = [.. without.GetProperty("logprobs").GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32() + 14)];
            Assert.Equal([0, 1, 2, 3, 4, 5, 6, 13, 13, .. later], offsets);
        }
    }

    [Fact]
    public async Task Echo_Streamed_SendsThePromptFirstAndEqualsTheWholeAnswer()
    {
        Dictionary<string, object?> question = new()
        {
            ["model"] = TinyFamily.Fused,
            ["prompt"] = new[] { "Where", "is" },
            ["seed"] = 3,
            ["logprobs"] = 1,
            ["echo"] = true,
        };
        JsonElement whole = await gateway.AnswerAsync(Text, question);
        question["stream"] = true;
        JsonElement[] parts = [.. (await gateway.EventsAsync(Text, question)).SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0])];

        foreach (JsonElement expected in whole.GetProperty("choices").EnumerateArray())
        {
            JsonElement[] own = [.. parts.Where(part => part.GetProperty("index").GetInt32() == expected.GetProperty("index").GetInt32())];
            Assert.Contains(own[0].GetProperty("text").GetString(), new[] { "Where", "is" });
            Assert.Equal(expected.GetProperty("text").GetString(), string.Concat(own.Select(part => part.GetProperty("text").GetString())));
            Assert.Equal(
                expected.GetProperty("logprobs").GetProperty("text_offset").ToString(),
                $"[{string.Join(',', own.SelectMany(part => part.GetProperty("logprobs").GetProperty("text_offset").EnumerateArray()))}]");
        }
    }

    [Fact]
    public async Task Echo_AnswerIsTheEndOfText_StillListsEveryToken()
    {
        JsonElement choice = (await gateway.AnswerAsync(Text, new
        {
            model = TinyFamily.Fused,
            prompt = Ids("Where"),
            max_tokens = 1,
            echo = true,
            logprobs = 1,
            logit_bias = new Dictionary<string, double> { ["0"] = 100 },
        })).GetProperty("choices")[0];

        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("Where", choice.GetProperty("text").GetString());
        Assert.Equal(6, choice.GetProperty("logprobs").GetProperty("token_logprobs").GetArrayLength());
        Assert.Equal(5, choice.GetProperty("logprobs").GetProperty("text_offset")[5].GetInt32());
    }

    [Fact]
    public async Task Echo_StopStringInThePrompt_EndsNothing()
    {
        JsonElement choice = (await gateway.AnswerAsync(
            Text, new { model = TinyFamily.Fused, prompt = "Where", max_tokens = 0, echo = true, logprobs = 0, stop = "here" })).GetProperty("choices")[0];

        Assert.Equal("Where", choice.GetProperty("text").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Empty(choice.GetProperty("logprobs").GetProperty("top_logprobs")[1].EnumerateObject());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public async Task Echo_WithoutLogprobs_ReturnsOnlyText(int maxTokens)
    {
        JsonElement answer = await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt = "Where", max_tokens = maxTokens, echo = true });

        Assert.StartsWith("Where", answer.GetProperty("choices")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, answer.GetProperty("choices")[0].GetProperty("logprobs").ValueKind);
        Assert.Equal(5, Usage(answer).Prompt);
        Assert.InRange(Usage(answer).Completion, 0, maxTokens);
    }

    [Fact]
    public async Task Echo_LongestPrompt_IsScoredAndALongerOneRefused()
    {
        JsonElement answer = await gateway.AnswerAsync(
            Text, new { model = TinyFamily.Fused, prompt = new string('x', TinyFamily.ContextLength), max_tokens = 0, echo = true, logprobs = 1 });
        using HttpResponseMessage refused = await gateway.PostAsync(
            Text, new { model = TinyFamily.Fused, prompt = new string('x', TinyFamily.ContextLength + 1), max_tokens = 0, echo = true, logprobs = 1 });

        Assert.Equal((TinyFamily.ContextLength, 0), Usage(answer));
        await BadRequestTests.AssertErrorAsync(refused, 400, "prompt", "context_length_exceeded", ["128", "129"]);
    }

    private static (int Prompt, int Completion) Usage(JsonElement answer) =>
        (answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());

    private int[] Ids(string text)
    {
        using Tokenizer tokenizer = Tokenizer.Load(gateway.Family.PathOf(TinyFamily.Base));
        return tokenizer.Encode(text);
    }
}
