using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests clients that disconnect, too many requests, and models that fail.</summary>
public class OverloadTests
{
    private const string Chat = "/v1/chat/completions";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Chat_ClientLeaves_FreesItsSequences(bool stream)
    {
        using RecordedErrors errors = new();
        await using Server server = await ServerAsync(null, builder =>
        {
            builder.Logging.AddProvider(errors);
            InterceptedModel.Between(() => Thread.Sleep(20))(builder);
        });
        using CancellationTokenSource leaving = new();

        // Without end tokens, no answer ends before the client disconnects.
        Dictionary<string, double> endless = new() { ["0"] = -100, ["4"] = -100 };
        Task request = AskAsync(
            server.Gateway, AnswerTests.Question(100, new() { ["stream"] = stream, ["n"] = 2, ["logit_bias"] = endless }), leaving.Token);
        await UntilAsync(() => server.Gateway.Statistics is { Running: 2, Tokens: > 4 });

        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await UntilAsync(() => server.Gateway.Statistics.Running == 0);

        // Two whole answers would have 200 tokens.
        Assert.InRange(server.Gateway.Statistics.Tokens, 4, 100);
        await server.Gateway.AnswerAsync(Chat, AnswerTests.Question(1));
        Assert.Empty(errors.Messages);
    }

    [Fact]
    public async Task Audit_ClientLeaves_StopsAndFreesItsSequences()
    {
        await using Server server = await ServerAsync(null, InterceptedModel.Between(() => Thread.Sleep(20)));
        using CancellationTokenSource leaving = new();
        Task audit = server.Gateway.Http.PostAsJsonAsync("/v1/audits", new { model = TinyFamily.Fused, expert = "qa", texts = 100 }, leaving.Token);
        await UntilAsync(() => server.Gateway.Statistics is { Running: > 1, Tokens: > 4 });

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => audit);
        await UntilAsync(() => server.Gateway.Statistics is { Running: 0, Waiting: 0 });
        long drawn = server.Gateway.Statistics.Tokens;
        await Task.Delay(100);
        Assert.Equal(drawn, server.Gateway.Statistics.Tokens);
    }

    [Fact]
    public async Task Chat_QueueFull_Returns429WithRetryAfterAndOthersFinish()
    {
        using ManualResetEventSlim gate = new();
        await using Server server = await ServerAsync(gate, InterceptedModel.Between(gate.Wait, new SchedulerOptions { MaxRunning = 1, MaxWaiting = 2 }));
        List<Task<JsonElement>> admitted = [server.Gateway.AnswerAsync(Chat, AnswerTests.Question(2))];

        // The first request fills a place in the queue until the loop has admitted it.
        await UntilAsync(() => server.Gateway.Statistics is { Running: 1, Waiting: 0 });
        admitted.AddRange(Enumerable.Range(0, 2).Select(_ => server.Gateway.AnswerAsync(Chat, AnswerTests.Question(2))));
        await UntilAsync(() => server.Gateway.Statistics is { Running: 1, Waiting: 2 });

        using HttpResponseMessage refused = await server.Gateway.PostAsync(Chat, AnswerTests.Question(2));
        await BadRequestTests.AssertErrorAsync(refused, 429, null, "queue_full", ["waiting"]);
        Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));

        gate.Set();
        Assert.Equal(3, (await Task.WhenAll(admitted)).Length);
    }

    [Fact]
    public async Task Chat_ClientLeavesTheQueue_FreesItsPlacesAtOnce()
    {
        using ManualResetEventSlim gate = new();
        await using Server server = await ServerAsync(gate, InterceptedModel.Between(gate.Wait, new SchedulerOptions { MaxRunning = 1, MaxWaiting = 2 }));
        Task<JsonElement> running = server.Gateway.AnswerAsync(Chat, AnswerTests.Question(2));
        await UntilAsync(() => server.Gateway.Statistics is { Running: 1, Waiting: 0 });
        using CancellationTokenSource leaving = new();
        Task waiting = AskAsync(server.Gateway, AnswerTests.Question(2, new() { ["n"] = 2 }), leaving.Token);
        await UntilAsync(() => server.Gateway.Statistics.Waiting == 2);

        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await UntilAsync(() => server.Gateway.Statistics is { Running: 1, Waiting: 0 });

        gate.Set();
        await running;
    }

    [Fact]
    public async Task Chat_QueueFullForOneOfManyChoices_AdmitsNoneOfThem()
    {
        using ManualResetEventSlim gate = new();
        await using Server server = await ServerAsync(gate, InterceptedModel.Between(gate.Wait, new SchedulerOptions { MaxRunning = 1, MaxWaiting = 8 }));
        Task<JsonElement> running = server.Gateway.AnswerAsync(Chat, AnswerTests.Question(2, new() { ["n"] = 2 }));
        await UntilAsync(() => server.Gateway.Statistics is { Running: 1, Waiting: 1 });

        using HttpResponseMessage refused = await server.Gateway.PostAsync(Chat, AnswerTests.Question(2, new() { ["n"] = 8 }));

        Assert.Equal(429, (int)refused.StatusCode);
        Assert.Equal(1, server.Gateway.Statistics.Waiting);
        gate.Set();
        await running;
    }

    [Theory]
    [InlineData("prompt", 3, 1)]
    [InlineData("n", 1, 3)]
    public async Task Text_MoreAnswersThanTheQueueHolds_Returns400(string field, int prompts, int choices)
    {
        await using Server server = await ServerAsync(null, InterceptedModel.Between(() => { }, new SchedulerOptions { MaxRunning = 8, MaxWaiting = 2 }));
        object request = new { model = "plain", prompt = Enumerable.Repeat("a", prompts), n = choices };

        using HttpResponseMessage refused = await server.Gateway.PostAsync("/v1/completions", request);

        await BadRequestTests.AssertErrorAsync(refused, 400, field, "invalid_value", ["3 answers", "at most 2"]);
    }

    [Fact]
    public async Task Chat_ModelFails_Returns500WithMessageAndServesTheNext()
    {
        bool broken = true;
        await using Server server = await ServerAsync(null, InterceptedModel.Between(() => ThrowIf(broken)));

        using HttpResponseMessage response = await server.Gateway.PostAsync(Chat, AnswerTests.Question(2));
        await BadRequestTests.AssertErrorAsync(response, 500, null, "internal_error", ["broken on purpose"]);

        broken = false;
        await server.Gateway.AnswerAsync(Chat, AnswerTests.Question(2));
    }

    [Fact]
    public async Task Chat_ModelFailsInsideAStream_SendsErrorEventThenBreaksTheConnection()
    {
        int steps = 0;
        await using Server server = await ServerAsync(null, InterceptedModel.Between(() => ThrowIf(++steps == 4)));
        using HttpRequestMessage request = new(HttpMethod.Post, Chat)
        {
            Content = JsonContent.Create(AnswerTests.Question(20, new() { ["stream"] = true })),
        };
        using HttpResponseMessage response = await server.Gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        List<string> lines = [];

        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                lines.Add(line);
            }
        });

        Assert.Equal(200, (int)response.StatusCode);
        string last = lines.Last(line => line.Length > 0);
        Assert.StartsWith("""data: {"error":{"message":""", last, StringComparison.Ordinal);
        Assert.Contains("broken on purpose", last, StringComparison.Ordinal);
        Assert.DoesNotContain("data: [DONE]", lines);
    }

    [Fact]
    public async Task Chat_Streamed_SendsHeadersAndRoleBeforeTheFirstToken()
    {
        using ManualResetEventSlim gate = new();
        await using Server server = await ServerAsync(gate, InterceptedModel.Between(gate.Wait));
        using HttpRequestMessage request = new(HttpMethod.Post, Chat)
        {
            Content = JsonContent.Create(AnswerTests.Question(2, new() { ["stream"] = true })),
        };
        using HttpResponseMessage response = await server.Gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());

        string? first = await reader.ReadLineAsync();

        Assert.Equal(0, server.Gateway.Statistics.Tokens);
        Assert.Contains("\"delta\":{\"role\":\"assistant\",\"content\":\"\"}", first, StringComparison.Ordinal);
        gate.Set();
        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    private static void ThrowIf(bool broken)
    {
        if (broken)
        {
            throw new EngineException(EngineError.ModelFailure, "The model is broken on purpose.");
        }
    }

    private static async Task AskAsync(RunningGateway gateway, object question, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await gateway.Http.PostAsJsonAsync(Chat, question, cancellation);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        Stopwatch patience = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(patience.Elapsed < TimeSpan.FromSeconds(60), "The condition did not become true within a minute.");
            await Task.Delay(5);
        }
    }

    private static async Task<Server> ServerAsync(ManualResetEventSlim? gate, Action<WebApplicationBuilder> configure)
    {
        RunningGateway gateway = new(configure);
        await gateway.InitializeAsync();
        return new Server(gateway, gate);
    }

    /// <param name="Gate">Gate that holds the model. Dispose opens it, because a server whose model waits cannot stop.</param>
    private sealed record Server(RunningGateway Gateway, ManualResetEventSlim? Gate) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            Gate?.Set();
            await Gateway.DisposeAsync();
        }
    }
}
