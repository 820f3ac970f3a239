using ProxyTune.Gateway.Tests.Hosting;

namespace ProxyTune.Gateway.Tests.Endpoints;

[Collection(GatewayCollection.Name)]
public class HealthTests(RunningGateway gateway)
{
    [Theory]
    [InlineData("/healthz", "ok")]
    [InlineData("/readyz", "ready")]
    public async Task Get_RunningServer_Returns200(string path, string status) =>
        Assert.Equal($$"""{"status":"{{status}}"}""", await gateway.Http.GetStringAsync(path));
}
