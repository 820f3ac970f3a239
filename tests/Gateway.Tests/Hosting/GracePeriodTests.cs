using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>What clients see of a server that stops, and of a body that is no HTTP.</summary>
public sealed class GracePeriodTests
{
    [Fact]
    public async Task Stop_StreamRunsLongerThanTheGracePeriod_EndsWithAnErrorEvent()
    {
        RunningGateway gateway = new(InterceptedModel.Between(() => Thread.Sleep(100)), "--GraceSeconds", "2");
        await gateway.InitializeAsync();
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(new { model = TinyFamily.Plain, prompt = "a", max_tokens = 120, ignore_eos = true, stream = true }),
        };
        using HttpResponseMessage response = await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: {", await reader.ReadLineAsync(), StringComparison.Ordinal);
        Task stopping = gateway.Services.GetRequiredService<IHost>().StopAsync();
        StringBuilder rest = new();
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                rest.AppendLine(line);
            }
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            // The connection ends without the end of the body, since the answer is not complete.
        }

        Assert.Contains("\"code\":\"stopping\"", rest.ToString(), StringComparison.Ordinal);
        await stopping;
        await gateway.DisposeAsync();
    }

    /// <summary>Sizes of chunks that are no sizes, or beyond all bounds.</summary>
    [Theory]
    [InlineData("FFFFFFFFFFFFFFFF")]
    [InlineData("7FFFFFFFFFFFFFFF")]
    [InlineData("80000000")]
    [InlineData("FFFFFFFFF")]
    [InlineData("xyz")]
    [InlineData("-1")]
    public async Task Post_WrongChunkSize_Is400Or413(string size)
    {
        RunningGateway gateway = new();
        await gateway.InitializeAsync();
        try
        {
            using TcpClient client = new();
            await client.ConnectAsync(gateway.Http.BaseAddress!.Host, gateway.Http.BaseAddress.Port);
            await using NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{{\"model\":\"plain\"}}\r\n0\r\n\r\n"));
            using StreamReader reader = new(stream, Encoding.ASCII);
            using CancellationTokenSource patience = new(TimeSpan.FromSeconds(20));
            string status = (await reader.ReadLineAsync(patience.Token))!;
            Assert.True(status.StartsWith("HTTP/1.1 400", StringComparison.Ordinal) || status.StartsWith("HTTP/1.1 413", StringComparison.Ordinal), status);
        }
        finally
        {
            await gateway.DisposeAsync();
        }
    }
}
