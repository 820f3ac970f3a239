using System.Diagnostics;
using System.Text.Json;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests <c>experts ...</c> as a process that calls a running server.</summary>
public sealed class CommandLineTests : IAsyncLifetime
{
    private const string Key = "secret";

    private static readonly string Program = Path.Combine(
        AppContext.BaseDirectory.Replace("Gateway.Tests", "Gateway", StringComparison.Ordinal), Path.GetFileName(typeof(Gateway.Program).Assembly.Location));

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly string folder = Directory.CreateTempSubdirectory("cli-").FullName;
    private readonly RunningGateway gateway = new(null, "--Operator:Key", Key);

    public Task InitializeAsync() => gateway.InitializeAsync();

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Commands_FromUploadToDelete_CallTheEndpoints()
    {
        string patch = Path.Combine(folder, "patch");
        TinyPatch.Write(patch, gateway.Family.PathOf(TinyFamily.Base), 1, "q_proj", "v_proj");
        new PatchManifest { Base = new() { Weights = Lineage.Of(gateway.Family.PathOf(TinyFamily.Base)) } }.Write(patch);

        JsonElement uploaded = await DoneAsync("upload", "alice", patch);
        Assert.Equal(("alice", "patch"), (uploaded.GetProperty("id").GetString(), uploaded.GetProperty("kind").GetString()));
        JsonElement served = await DoneAsync("serve", "alice", "--name", "for-alice", "--weight", "0.5");
        Assert.Equal("for-alice", served.GetProperty("id").GetString());
        JsonElement shown = await DoneAsync("show", "alice");
        Assert.Equal("for-alice", shown.GetProperty("served")[0].GetProperty("name").GetString());
        Assert.Single((await DoneAsync("list")).GetProperty("data").EnumerateArray());
        Assert.Contains("is served as 'for-alice'", await RefusedAsync("delete", "alice"), StringComparison.Ordinal);
        await DoneAsync("retire", "alice", "--name", "for-alice");
        await DoneAsync("delete", "alice");
        Assert.Empty((await DoneAsync("list")).GetProperty("data").EnumerateArray());
    }

    /// <summary>Checks that large files are sent before the form, and only their missing parts.</summary>
    [Fact]
    public async Task Upload_PartlyUploadedFile_SendsTheRest()
    {
        string model = Path.Combine(folder, "model");
        TinyModel.Write(Directory.CreateDirectory(model).FullName, new() { Seed = 3, Hidden = 256, Intermediate = 512, Layers = 3, Context = TinyFamily.ContextLength });
        string weights = Path.Combine(model, "model.safetensors");
        byte[] bytes = await File.ReadAllBytesAsync(weights);
        Assert.True(bytes.Length > 5 << 20, $"{bytes.Length} bytes are too few for a large file.");
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes));
        using (HttpRequestMessage begin = new(HttpMethod.Patch, $"/v1/experts/blobs/{hash}") { Content = new ByteArrayContent(bytes[..(1 << 20)]) })
        {
            begin.Headers.Authorization = new("Bearer", Key);
            begin.Headers.Add("Upload-Offset", "0");
            begin.Headers.Add("Upload-Length", $"{bytes.Length}");
            using HttpResponseMessage response = await gateway.Http.SendAsync(begin);
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        }

        JsonElement uploaded = await DoneAsync("upload", "tuned", model);

        Assert.Equal(hash, uploaded.GetProperty("files").GetProperty("model.safetensors").GetString());
        await DoneAsync("serve", "tuned");
    }

    [Fact]
    public async Task Commands_WithoutTheKeyOrAServer_NameTheCause()
    {
        Assert.Contains("for operators", (await RunAsync(null, "list")).Error, StringComparison.Ordinal);
        (int code, string output, string error) = await RunAsync(Key, "list", "--url", "http://127.0.0.1:1");
        Assert.Equal((1, ""), (code, output));
        Assert.StartsWith("error: ", error, StringComparison.Ordinal);
        Assert.Contains("nobody", await RefusedAsync("show", "nobody"), StringComparison.Ordinal);
        Assert.DoesNotContain(Key, (await RunAsync(Key, "serve", "--help")).Output, StringComparison.Ordinal);
    }

    private async Task<JsonElement> DoneAsync(params string[] arguments)
    {
        (int code, string output, string error) = await RunAsync(Key, arguments);
        Assert.Equal((0, ""), (code, error));
        return JsonElement.Parse(output);
    }

    private async Task<string> RefusedAsync(params string[] arguments)
    {
        (int code, string output, string error) = await RunAsync(Key, arguments);
        Assert.Equal((1, ""), (code, output));
        return error;
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(string? key, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", [Program, "experts", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PROXYTUNE_URL"] = gateway.Http.BaseAddress!.ToString();
        start.Environment["PROXYTUNE_KEY"] = key;
        using Process process = Process.Start(start)!;
        (Task<string> output, Task<string> error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Patience);
        return (process.ExitCode, await output, await error);
    }
}
