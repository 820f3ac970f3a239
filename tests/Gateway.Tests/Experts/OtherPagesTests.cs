using System.Net;
using ProxyTune.Gateway.Tests.Hosting;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Without a key, callers on this machine are operators. Web pages of other origins in a browser on it are not.</summary>
public sealed class OtherPagesTests : IAsyncLifetime
{
    private readonly RunningGateway gateway = new();

    public Task InitializeAsync() => gateway.InitializeAsync();

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Theory]
    [InlineData(null, null, HttpStatusCode.OK)]
    [InlineData("Sec-Fetch-Site", "same-origin", HttpStatusCode.OK)]
    [InlineData("Sec-Fetch-Site", "cross-site", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "http://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "null", HttpStatusCode.Forbidden)]
    [InlineData("Host", "evil.example", HttpStatusCode.Forbidden)]
    [InlineData("Host", "localhost", HttpStatusCode.OK)]
    public async Task List_RequestedByAWebPage_IsAllowedOnlyForTheSameOrigin(string? header, string? value, HttpStatusCode expected)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/experts");
        if (header is not null)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        using HttpResponseMessage response = await gateway.Http.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }
}
