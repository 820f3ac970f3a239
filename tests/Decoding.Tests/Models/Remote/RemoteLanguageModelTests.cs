using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Tests faults of a remote over real HTTP. Good answers are tested with this project's own server.</summary>
public sealed class RemoteLanguageModelTests : IDisposable
{
    private const int A = 5 + 'a', B = 5 + 'b';
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(10);
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("tokenizer-");
    private readonly Tokenizer tokenizer;

    public RemoteLanguageModelTests()
    {
        TinyTokenizer.WriteByteLevel(folder.FullName);
        tokenizer = Tokenizer.Load(folder.FullName);
    }

    public void Dispose()
    {
        tokenizer.Dispose();
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Forward_HealthyAnswer_GivesKnownTokensAndBansTheOthers()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => FakeCompletions.Answer(http, ("a", -0.5), ("b", -1.25), ("\uFFFD", -2)));
        using RemoteLanguageModel model = Model(fake.Url);
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A, B }));
        float[] row = new float[tokenizer.VocabularySize];
        model.Forward([new(sequence, default)], row);
        Assert.Equal((-0.5f, -1.25f), (row[A], row[B]));
        Assert.Equal(2, row.Count(float.IsFinite));
        Assert.Equal(-2f, sequence.MaxMissing);
        model.Forward([new(sequence, new[] { B })], row);
        Assert.Equal(3, sequence.Length);
        sequence.Rewind(1);
        model.Forward([new(sequence, new[] { A })], row);

        Assert.Equal(["[102,103]", "[102,103,103]", "[102,103,102]"], fake.Bodies.Select(body => body.GetProperty("prompt").GetRawText()));
        JsonElement body = fake.Bodies[0];
        Assert.Equal("far/away", body.GetProperty("model").GetString());
        Assert.Equal((1, 0, 3), (body.GetProperty("max_tokens").GetInt32(), body.GetProperty("temperature").GetInt32(), body.GetProperty("logprobs").GetInt32()));
        Assert.True(body.GetProperty("ignore_eos").GetBoolean());
        Assert.Equal(new RemoteStatistics(3, 0, 0, 9, 3), model.Statistics);
        Assert.Equal("", fake.Keys[0]);
    }

    [Fact]
    public void Start_WithAPatch_IsRefused()
    {
        string checkpoint = Path.Combine(folder.FullName, "model"), patch = Path.Combine(folder.FullName, "patch");
        TinyModel.WriteCheckpoint(checkpoint);
        TinyPatch.Write(patch, checkpoint, 1, "q_proj");
        using RemoteLanguageModel model = Model(new Uri("http://127.0.0.1:1"));
        PatchSum sum = new([new WeightedPatch(LowRankPatch.Read(patch), 1)]);
        Assert.Contains("1 patch", Assert.Throws<ArgumentException>(() => model.Start(Prompt.For(model, new[] { A }, sum))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Expect_TextPrompt_SendsTextWithSpecialTokens()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => FakeCompletions.Answer(http, ("a", -0.5), ("bytes:\\xe4", -1)));
        using RemoteLanguageModel model = Model(fake.Url, options => options with { Prompt = RemotePrompt.Text });
        using Sequence sequence = model.Start(Prompt.For(model, tokenizer.Encode("<|user|>é<|end|>")));
        float[] row = Row(model, sequence);
        Assert.Equal("<|user|>é<|end|>", fake.Bodies[0].GetProperty("prompt").GetString());

        // A byte that is not a character cannot be sent as text.
        Assert.Equal([A], row.Select((logprob, id) => (logprob, id)).Where(token => float.IsFinite(token.logprob)).Select(token => token.id));
    }

    [Fact]
    public async Task Expect_BeforeForward_SendsOneRequestWithoutBlocking()
    {
        TaskCompletionSource open = new();
        await using FakeCompletions fake = await FakeCompletions.StartAsync(async (_, http) =>
        {
            await open.Task;
            await FakeCompletions.Answer(http, ("a", -0.5));
        });
        using RemoteLanguageModel model = Model(fake.Url);
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Task ready = sequence.Expect(default);
        Assert.False(ready.IsCompleted);
        open.SetResult();
        await ready;
        Assert.Equal(-0.5f, Row(model, sequence)[A]);
        Assert.Single(fake.Bodies);
    }

    [Fact]
    public async Task Forward_PassingFailures_AreRetried()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((number, http) => number switch
        {
            0 => FakeCompletions.Fail(http, 500, "oops"),
            1 => FakeCompletions.Fail(http, 503),
            2 => FakeCompletions.Fail(http, 408),
            3 => Abort(http),
            _ => FakeCompletions.Answer(http, ("a", -0.5)),
        });
        using RemoteLanguageModel model = Model(fake.Url, options => options with { Retries = 4 });
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Assert.Equal(-0.5f, Row(model, sequence)[A]);
        Assert.Equal(4, model.Statistics.Retries);
    }

    [Fact]
    public async Task Forward_TooManyRequests_WaitsForRetryAfter()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((number, http) =>
            number == 0 ? FakeCompletions.Fail(http, 429, retryAfter: "1") : FakeCompletions.Answer(http, ("a", -0.5)));
        using RemoteLanguageModel model = Model(fake.Url);
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Stopwatch watch = Stopwatch.StartNew();
        Row(model, sequence);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0.95, 10);
    }

    [Fact]
    public async Task Forward_RetryAfterOverTheLimit_FailsAtOnceAndReportsIt()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => FakeCompletions.Fail(http, 429, retryAfter: "120"));
        EngineException failure = Failure(fake);
        Assert.Equal(TimeSpan.FromSeconds(120), failure.RetryAfter);
        Assert.Contains("429", failure.Message, StringComparison.Ordinal);
        Assert.Single(fake.Bodies);
    }

    [Theory]
    [InlineData(400, """{"error": {"message": "no such field"}}""", "400 (BadRequest): {\"error\": {\"message\": \"no such field\"}}", 1)]
    [InlineData(401, "the key secret-key is wrong", "401 (Unauthorized): the key *** is wrong", 1)]
    [InlineData(302, "", "302", 1)]
    [InlineData(500, "line 1\r\nline 2", "500 (InternalServerError): line 1  line 2", 3)]
    [InlineData(200, "garbage", "'far/away' at 127.0.0.1:", 1)]
    [InlineData(200, "garbage", "no JSON", 1)]
    [InlineData(200, """{"choices": [{"logprobs": {"top_logprobs": [{"nobody": -1}]}}]}""", "'nobody'", 1)]
    [InlineData(200, """{"choices": [{"logprobs": {"top_logprobs": [{"a": -0.1, "b": -0.1, "c": -0.1}]}}]}""", "sum to 2.715", 1)]
    [InlineData(200, """{"choices": [{"logprobs": {"top_logprobs": [{"a": -9999, "b": -9999}]}}]}""", "none of its 2 tokens a probability above 0", 1)]
    public async Task Forward_Failure_NamesTheRemoteAndTheCause(int status, string body, string words, int attempts)
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => FakeCompletions.Fail(http, status, body));
        EngineException failure = Failure(fake, options => options with { Key = new RemoteKey("secret-key") });
        Assert.Contains(words, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failure.ToString(), StringComparison.Ordinal);
        Assert.Equal(attempts, fake.Bodies.Count);
        Assert.Equal("Bearer secret-key", fake.Keys[0]);
    }

    [Fact]
    public async Task Forward_NoAnswerInTime_NamesTheTimeout()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => Task.Delay(-1, http.RequestAborted));
        using RemoteLanguageModel model = Model(fake.Url, options => options with { Timeout = TimeSpan.FromMilliseconds(200), Retries = 1 });
        Assert.Contains("no answer within 0.2 s", Fault(model)!.Message, StringComparison.Ordinal);
        Assert.Equal(new RemoteStatistics(1, 1, 1, 0, 0), model.Statistics);
    }

    [Fact]
    public void Forward_NoServerListens_NamesTheAddress()
    {
        using RemoteLanguageModel model = Model(new("http://127.0.0.1:1"));
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Row(model, sequence);
        Assert.Contains("'far/away' at 127.0.0.1:1 cannot be reached", sequence.Fault?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forward_RemoteKeepsFailing_OpensTheCircuitAndLaterRetries()
    {
        bool broken = true;
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) =>
            broken ? FakeCompletions.Fail(http, 500, "oops") : FakeCompletions.Answer(http, ("a", -0.5)));
        using RemoteLanguageModel model = Model(fake.Url, options => options with
        {
            Retries = 0,
            Breaker = new() { FailureRatio = 1, Attempts = 2, Open = TimeSpan.FromSeconds(1) },
        });
        EngineException[] failures = [.. Enumerable.Range(0, 4).Select(_ => Fault(model)!)];
        Assert.Equal(
            [EngineError.RemoteFailure, EngineError.RemoteFailure, EngineError.RemoteUnavailable, EngineError.RemoteUnavailable],
            failures.Select(failure => failure.Error));
        Assert.InRange(failures[3].RetryAfter!.Value.TotalSeconds, 0.01, 1);
        Assert.Equal(2, fake.Bodies.Count);

        broken = false;
        await Task.Delay(1100);
        Assert.Null(Fault(model));
    }

    [Fact]
    public async Task Dispose_WhileTheRemoteIsAwaited_CancelsTheCall()
    {
        await using FakeCompletions fake = await FakeCompletions.StartAsync((_, http) => Task.Delay(-1, http.RequestAborted));
        using RemoteLanguageModel model = Model(fake.Url);
        Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Task ready = sequence.Expect(default);
        while (fake.Bodies.Count == 0)
        {
            await Task.Delay(1);
        }

        sequence.Dispose();
        await ready.WaitAsync(TimeSpan.FromSeconds(10));
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(10));
        while (fake.Aborted == 0)
        {
            await Task.Delay(1, patience.Token);
        }

        Assert.Equal((0, 0), (model.LiveSequences, model.Statistics.Failures));
    }

    private static Task Abort(HttpContext http)
    {
        http.Abort();
        return Task.CompletedTask;
    }

    private EngineException Failure(FakeCompletions fake, Func<RemoteOptions, RemoteOptions>? change = null)
    {
        using RemoteLanguageModel model = Model(fake.Url, change);
        EngineException failure = Fault(model)!;
        Assert.Equal(EngineError.RemoteFailure, failure.Error);
        return failure;
    }

    private static EngineException? Fault(RemoteLanguageModel model)
    {
        using Sequence sequence = model.Start(Prompt.For(model, new[] { A }));
        Row(model, sequence);
        return sequence.Fault;
    }

    private static float[] Row(RemoteLanguageModel model, Sequence sequence)
    {
        float[] row = new float[model.Info.VocabularySize];
        model.Forward([new(sequence, default)], row);
        return row;
    }

    private RemoteLanguageModel Model(Uri url, Func<RemoteOptions, RemoteOptions>? change = null)
    {
        RemoteOptions options = new()
        {
            Url = url,
            Model = "far/away",
            TopLogprobs = 3,
            Retries = 2,
            RetryDelay = Soon,
            Body = new Dictionary<string, JsonElement> { ["ignore_eos"] = JsonSerializer.SerializeToElement(true) },
        };
        return new(change?.Invoke(options) ?? options, tokenizer, 64, [0]);
    }
}
