using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.OpenAI;

[Collection(GatewayCollection.Name)]
public class OpenApiTests(RunningGateway gateway)
{
    /// <summary>PROXYTUNE_UPDATE_SNAPSHOTS=1 writes the file anew; the difference is then reviewed like any other change.</summary>
    [Fact]
    public async Task Document_Served_EqualsSnapshot()
    {
        string snapshot = Path.Combine(Repository.Root, "openapi", "v1.json");
        string served = (await gateway.Http.GetStringAsync("/openapi/v1.json")).ReplaceLineEndings("\n") + "\n";
        if (Environment.GetEnvironmentVariable("PROXYTUNE_UPDATE_SNAPSHOTS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(snapshot)!);
            await File.WriteAllTextAsync(snapshot, served);
        }

        Assert.Equal((await File.ReadAllTextAsync(snapshot)).ReplaceLineEndings("\n"), served);
    }
}
