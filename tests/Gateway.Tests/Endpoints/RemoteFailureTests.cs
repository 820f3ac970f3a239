using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>Tests the responses when a remote base fails. Requests to other models are unaffected.</summary>
public sealed class RemoteFailureTests : IAsyncLifetime
{
    private const string Text = "/v1/completions";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly RunningGateway gateway = new();
    private Func<int, HttpContext, Task> behaviour = (_, http) => FakeCompletions.Fail(http, 500, "oops");
    private FakeCompletions? remote;

    public async Task InitializeAsync()
    {
        remote = await FakeCompletions.StartAsync((number, http) => behaviour(number, http));
        Dictionary<string, object?> far = TinyFamily.FusedEntry();
        far["name"] = "far";
        far["base"] = new { url = remote.Url, model = "m", tokenizer = TinyFamily.Base, retries = 1, retry_delay_seconds = 0.01, breaker = new { failure_ratio = 1, attempts = 4, open_seconds = 60 } };
        gateway.Family.WriteCatalog(new { served_models = new[] { TinyFamily.FusedEntry(), far } });
        await gateway.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        await remote!.DisposeAsync();
    }

    [Fact]
    public async Task Completion_RemoteKeepsFailing_Returns502ThenAnOpenCircuitWith503()
    {
        for (int i = 0; i < 2; i++)
        {
            (HttpStatusCode status, JsonElement error, _) = await AskAsync();
            Assert.Equal((HttpStatusCode.BadGateway, "remote_failure"), (status, error.GetProperty("code").GetString()));
            Assert.Contains("'m' at 127.0.0.1", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.Contains("500 (InternalServerError): oops", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }

        (HttpStatusCode open, JsonElement reason, TimeSpan? retryAfter) = await AskAsync();
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "remote_unavailable"), (open, reason.GetProperty("code").GetString()));
        Assert.InRange(retryAfter!.Value.TotalSeconds, 2, 60);
        Assert.Equal(4, remote!.Bodies.Count);
        await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt = "a", max_tokens = 4 });
    }

    [Fact]
    public async Task Completion_RemoteFailsInAStream_EndsItWithAnErrorAndWithoutDone()
    {
        behaviour = (number, http) => number == 0 ? FakeCompletions.Answer(http, ("a", -0.5)) : FakeCompletions.Fail(http, 404, "gone");
        using HttpResponseMessage response = await gateway.Http.SendAsync(
            new(HttpMethod.Post, Text) { Content = System.Net.Http.Json.JsonContent.Create(Question(stream: true)) }, HttpCompletionOption.ResponseHeadersRead);
        string received = "";
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line)
            {
                received += line;
            }
        });

        Assert.Contains("\"text\":\"a\"", received, StringComparison.Ordinal);
        Assert.Contains("remote_failure", received, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", received, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Completion_RemoteHangs_OthersAreServedAndADisconnectCancelsTheCall()
    {
        behaviour = (_, http) => Task.Delay(-1, http.RequestAborted);
        using CancellationTokenSource leaving = new();
        Task<HttpResponseMessage>[] hanging = [.. Enumerable.Range(0, 12).Select(_ => gateway.Http.SendAsync(
            new(HttpMethod.Post, Text) { Content = System.Net.Http.Json.JsonContent.Create(Question()) }, leaving.Token))];
        await Until(() => remote!.Bodies.Count == 8);
        for (int i = 0; i < 3; i++)
        {
            await gateway.AnswerAsync(Text, new { model = TinyFamily.Fused, prompt = "a", max_tokens = 4 }).WaitAsync(Patience);
        }

        Assert.All(hanging, request => Assert.False(request.IsCompleted));
        await leaving.CancelAsync();
        await Until(() => remote!.Aborted == remote.Bodies.Count && gateway.Statistics is { Running: 0, Waiting: 0 });
    }

    private static object Question(bool stream = false) => new { model = "far", prompt = "a", max_tokens = 4, stream };

    private async Task<(HttpStatusCode Status, JsonElement Error, TimeSpan? RetryAfter)> AskAsync()
    {
        using HttpResponseMessage response = await gateway.PostAsync(Text, Question());
        return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error"), response.Headers.RetryAfter?.Delta);
    }

    private static async Task Until(Func<bool> condition)
    {
        using CancellationTokenSource patience = new(Patience);
        while (!condition())
        {
            await Task.Delay(5, patience.Token);
        }
    }
}
