using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Answers;

/// <summary>Server-sent events as OpenAI writes them: each flushed at once, the last one an unquoted [DONE].</summary>
internal sealed class EventStream
{
    private static readonly byte[] Prefix = "data: "u8.ToArray();
    private static readonly byte[] End = "\n\n"u8.ToArray();
    private static readonly byte[] Done = "data: [DONE]\n\n"u8.ToArray();

    private readonly HttpContext http;

    private EventStream(HttpContext http) => this.http = http;

    /// <summary>Runs <paramref name="write"/> and ends the stream properly however it ends.</summary>
    public static async Task RunAsync(HttpContext http, Func<EventStream, Task> write)
    {
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-cache";
        EventStream stream = new(http);
        try
        {
            // The headers go out before the first token: clients give up on a silent connection.
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await write(stream);
            await http.Response.Body.WriteAsync(Done, http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
        }
        catch (Exception error) when (!http.RequestAborted.IsCancellationRequested)
        {
            // Some clients take an error event for the end of the answer, so the response must break off as well. The exception makes
            // Kestrel close the connection after what was sent; http.Abort() would reset it, and a reset can overtake the event.
            await stream.SendAsync(ErrorResponse.For(error, http).Body, Wire.Json.ErrorBody);
            throw;
        }
    }

    public async Task SendAsync<T>(T value, JsonTypeInfo<T> type)
    {
        await http.Response.Body.WriteAsync(Prefix, http.RequestAborted);
        await JsonSerializer.SerializeAsync(http.Response.Body, value, type, http.RequestAborted);
        await http.Response.Body.WriteAsync(End, http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}
