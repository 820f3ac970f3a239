using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Generation;
using ProxyTune.Gateway.Experts;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>The real server over a tiny family, on a free port.</summary>
public sealed class RunningGateway : IAsyncLifetime
{
    private readonly string[] arguments;
    private readonly Action<WebApplicationBuilder>? configure;
    private WebApplication? app;

    public RunningGateway()
        : this(null)
    {
    }

    /// <param name="configure">Replaces parts at the outermost edge, such as the ensemble.</param>
    internal RunningGateway(Action<WebApplicationBuilder>? configure, params string[] arguments)
    {
        this.configure = configure;
        this.arguments = arguments;
    }

    public TinyFamily Family { get; } = new();

    public HttpClient Http { get; } = new();

    public IServiceProvider Services => app!.Services;

    public SchedulerStatistics Statistics => app!.Services.GetRequiredService<DecodeScheduler>().Statistics;

    public async Task InitializeAsync()
    {
        app = Program.Build(
            ["--models", Family.Folder, "--urls", "http://127.0.0.1:0", .. arguments],
            builder =>
            {
                builder.Logging.ClearProviders();
                configure?.Invoke(builder);
            });
        await app.StartAsync();
        Http.BaseAddress = new Uri(app.Urls.Single());
    }

    public async Task DisposeAsync()
    {
        Http.Dispose();
        await app!.DisposeAsync();
        Family.Dispose();
    }

    /// <summary>Adds a patch of a model folder with random weights to the uploads.</summary>
    /// <param name="native">Whether its manifest names the weights of that folder.</param>
    public async Task UploadPatchAsync(string id, int seed, string model = TinyFamily.Base, bool native = true)
    {
        string folder = Directory.CreateTempSubdirectory("patch-").FullName;
        TinyPatch.Write(folder, Family.PathOf(model), seed, "q_proj", "k_proj", "v_proj", "o_proj");
        if (native)
        {
            new PatchManifest { Base = new(model, Lineage.Of(Family.PathOf(model))) }.Write(folder);
        }

        await UploadAsync(id, folder);
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Adds the files of a folder to the uploads.</summary>
    public async Task UploadAsync(string id, string folder)
    {
        using ExpertUpload upload = Services.GetRequiredService<ExpertStore>().Begin();
        foreach (string file in Directory.GetFiles(folder))
        {
            using FileStream content = File.OpenRead(file);
            await upload.AddAsync(Path.GetFileName(file), content);
        }

        await upload.CommitAsync(id);
    }

    public Task<HttpResponseMessage> PostAsync(string path, object body) => Http.PostAsJsonAsync(path, body);

    public async Task<JsonElement> AnswerAsync(string path, object body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }

    /// <summary>The data of each event, including [DONE].</summary>
    public async Task<IReadOnlyList<string>> EventsAsync(string path, object body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];
    }
}
