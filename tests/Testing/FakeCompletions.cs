using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ProxyTune.Testing;

/// <summary>A completions endpoint on a free port that gives scripted answers, such as those of a broken server.</summary>
public sealed class FakeCompletions : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<JsonElement> bodies = new();
    private readonly ConcurrentQueue<string> keys = new();
    private int aborted;

    private FakeCompletions(WebApplication app) => this.app = app;

    public Uri Url => new(app.Urls.Single());

    /// <summary>The bodies of the requests, in order.</summary>
    public IReadOnlyList<JsonElement> Bodies => [.. bodies];

    /// <summary>The Authorization headers of the requests, in order.</summary>
    public IReadOnlyList<string> Keys => [.. keys];

    /// <summary>Number of requests whose client disconnected.</summary>
    public int Aborted => Volatile.Read(ref aborted);

    /// <param name="answer">Writes the answer. It gets the number of the request, from 0.</param>
    public static async Task<FakeCompletions> StartAsync(Func<int, HttpContext, Task> answer)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        FakeCompletions fake = new(app);
        int count = -1;
        app.MapPost("/v1/completions", async http =>
        {
            int number = Interlocked.Increment(ref count);
            using JsonDocument body = await JsonDocument.ParseAsync(http.Request.Body);
            fake.bodies.Enqueue(body.RootElement.Clone());
            fake.keys.Enqueue(http.Request.Headers.Authorization.ToString());
            try
            {
                await answer(number, http);
            }
            catch (OperationCanceledException)
            {
                Interlocked.Increment(ref fake.aborted);
            }
        });
        await app.StartAsync();
        return fake;
    }

    /// <summary>Writes a good answer in OpenAI's completion format.</summary>
    public static Task Answer(HttpContext http, params (string Token, double Logprob)[] top) => Json(http, new
    {
        choices = new[] { new { text = top[0].Token, logprobs = new { top_logprobs = new[] { top.ToDictionary(t => t.Token, t => t.Logprob) } }, finish_reason = "length" } },
    });

    public static Task Json(HttpContext http, object body) => http.Response.WriteAsJsonAsync(body);

    public static Task Fail(HttpContext http, int status, string body = "", string? retryAfter = null)
    {
        http.Response.StatusCode = status;
        if (retryAfter is not null)
        {
            http.Response.Headers.RetryAfter = retryAfter;
        }

        return http.Response.WriteAsync(body);
    }

    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource atOnce = new(0);
        await app.StopAsync(atOnce.Token);
        await app.DisposeAsync();
    }
}
