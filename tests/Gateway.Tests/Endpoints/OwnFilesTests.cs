using System.Net;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>A file of the server's own changes while the server runs, which is no fault of the client.</summary>
public sealed class OwnFilesTests
{
    [Fact]
    public async Task Post_PatchFileWasChanged_Is500WithoutPaths()
    {
        RunningGateway gateway = new(null, "--Engine:PatchBytes", "1");
        string[] names = ["one", "two"];
        foreach ((int i, string name) in names.Index())
        {
            TinyPatch.Write(gateway.Family.PathOf("patches", name), gateway.Family.PathOf(TinyFamily.Base), i + 1, "q_proj");
        }

        gateway.Family.WriteCatalog(new { served_models = names.Select(name => new { name, @base = TinyFamily.Base, patches = new[] { new { patch = name } } }) });
        await gateway.InitializeAsync();
        try
        {
            string weights = gateway.Family.PathOf("patches", "one", TinyPatch.WeightsFile);
            byte[] bytes = await File.ReadAllBytesAsync(weights);
            bytes[^1] ^= 1;
            await File.WriteAllBytesAsync(weights, bytes);
            await gateway.AnswerAsync("/v1/completions", new { model = "two", prompt = "a", max_tokens = 1 });
            using HttpResponseMessage response = await gateway.PostAsync("/v1/completions", new { model = "one", prompt = "a", max_tokens = 1 });
            JsonElement error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
            Assert.Equal((HttpStatusCode.InternalServerError, "internal_error"), (response.StatusCode, error.GetProperty("code").GetString()));
            Assert.DoesNotContain("patches", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            await gateway.AnswerAsync("/v1/completions", new { model = "two", prompt = "a", max_tokens = 1 });
        }
        finally
        {
            await gateway.DisposeAsync();
        }
    }
}
