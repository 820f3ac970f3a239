namespace ProxyTune.Gateway.Requests;

/// <summary>Gives every failure, of routing, reading, or running, OpenAI's error body: other shapes lose their message in the clients.</summary>
internal static class ErrorMiddleware
{
    private const int ClientClosedRequest = 499;

    public static async Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http);
            if (!http.Response.HasStarted && http.Response.StatusCode >= 400 && http.Response.ContentType is null)
            {
                await ErrorResponse.For(http.Response.StatusCode, http.Request).WriteAsync(http);
            }
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client left; nobody reads an answer, and its sequences are freed by now.
            if (!http.Response.HasStarted)
            {
                http.Response.StatusCode = ClientClosedRequest;
            }
        }
        catch (Exception error) when (!http.Response.HasStarted)
        {
            http.Response.Clear();
            await ErrorResponse.For(error, http).WriteAsync(http);
        }
    }
}
