using System.Diagnostics;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Clients;

/// <summary>The official npm client, unmodified: node/check.js asks, this looks at what it saw.</summary>
[Collection(GatewayCollection.Name)]
public class NpmClientTests(RunningGateway gateway)
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "Gateway.Tests", "node");

    [Fact]
    public async Task Client_AllCalls_GetOpenAIsResponses()
    {
        if (!Directory.Exists(Path.Combine(Folder, "node_modules", "openai")))
        {
            await RunAsync("npm", "install", "--no-package-lock", "--no-audit", "--no-fund");
        }

        string output = await RunAsync("node", "check.js", new Uri(gateway.Http.BaseAddress!, "v1").ToString(), TinyFamily.Fused);
        JsonElement seen = JsonDocument.Parse(output).RootElement;

        string whole = seen.GetProperty("whole").GetString()!;
        Assert.NotEmpty(whole);
        Assert.Equal(whole, seen.GetProperty("streamed").GetString());
        Assert.Equal(whole, seen.GetProperty("final").GetString());
        Assert.Equal("length", seen.GetProperty("finish").GetString());
        Assert.Equal(12, seen.GetProperty("tokens").GetInt32());
        Assert.Equal(12, seen.GetProperty("logprobs").GetInt32());
        Assert.Equal(12, seen.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.NotEmpty(seen.GetProperty("completion").GetString()!);
        Assert.Equal(0.5, seen.GetProperty("alpha").GetDouble());
        Assert.Contains(TinyFamily.Fused, seen.GetProperty("models").EnumerateArray().Select(model => model.GetString()));
        Assert.Equal(TinyFamily.Fused, seen.GetProperty("retrieved").GetString());
        Assert.Equal("model_not_found", seen.GetProperty("unknown").GetProperty("code").GetString());
        Assert.Equal(404, seen.GetProperty("unknown").GetProperty("status").GetInt32());
        Assert.Equal("temperature", seen.GetProperty("wrong").GetProperty("param").GetString());
        Assert.Contains("\"hot\"", seen.GetProperty("wrong").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await errors}{output}");
        return output;
    }
}
