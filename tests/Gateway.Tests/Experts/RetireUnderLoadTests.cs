using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Retires uploaded models while clients stream from them and leave.</summary>
public sealed class RetireUnderLoadTests : IAsyncLifetime
{
    private const int Models = 4, LongSequences = 13;

    private readonly RunningGateway gateway = new(null, "--Operator:Key", "secret");

    public async Task InitializeAsync()
    {
        await gateway.InitializeAsync();
        gateway.Http.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
        for (int i = 0; i < Models; i++)
        {
            using TinyModel model = TinyModel.Create(new() { Seed = i + 20, Context = TinyFamily.ContextLength });
            await gateway.UploadAsync($"m{i}", model.Folder);
        }
    }

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Retire_ClientsLeaveAtTheSameTime_ServerGoesOnAndFreesTheModels(int attempt)
    {
        ModelHost host = gateway.Services.GetRequiredService<ModelHost>();
        int loaded = host.LoadedFolders.Count;
        string expected = await AskAsync(TinyFamily.PlainAsServed);
        foreach (string name in Names)
        {
            await gateway.AnswerAsync($"/v1/experts/{name}/serve", new { name });
        }

        using CancellationTokenSource leave = new();
        Task[] others = [.. Enumerable.Range(0, LongSequences).Select(_ => StreamAsync(TinyFamily.PlainAsServed, leave.Token))];
        Task[] clients = [.. Names.SelectMany(name => Enumerable.Range(0, 4).Select(_ => StreamAsync(name, leave.Token)))];
        await Task.Delay(100);
        Task retired = Task.WhenAll(Names.Select(name => gateway.AnswerAsync($"/v1/experts/{name}/retire", new { })));
        await Task.Delay(20 * attempt);
        await leave.CancelAsync();
        await retired;
        await Task.WhenAll([.. others, .. clients]);

        Assert.Equal(expected, await AskAsync(TinyFamily.PlainAsServed));
        Assert.Equal("""{"status":"ready"}""", await gateway.Http.GetStringAsync("/readyz"));
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(20));
        while (gateway.Statistics is not { Running: 0, Waiting: 0 } || host.LoadedFolders.Count > loaded)
        {
            await Task.Delay(1, patience.Token);
        }

        Assert.Equal(0, gateway.Statistics.Faults);
        Assert.Equal((0, 0), (host.Memory.Statistics.Reserved, host.Memory.Statistics.Live));
    }

    private static IEnumerable<string> Names => Enumerable.Range(0, Models).Select(i => $"m{i}");

    private async Task<string> AskAsync(string model) =>
        (await gateway.AnswerAsync("/v1/completions", new { model, prompt = "ab", max_tokens = 12, temperature = 0 })).GetProperty("choices")[0].GetProperty("text").GetString()!;

    /// <summary>Streams answers one after another until the client leaves, which resets its connection.</summary>
    private async Task StreamAsync(string model, CancellationToken leave)
    {
        using HttpClient own = new() { BaseAddress = gateway.Http.BaseAddress };
        try
        {
            while (true)
            {
                using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions")
                {
                    Content = JsonContent.Create(new { model, prompt = "abc", max_tokens = 100, stream = true, ignore_eos = true }),
                };
                using HttpResponseMessage response = await own.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave);
                await response.Content.ReadAsByteArrayAsync(leave);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or HttpRequestException)
        {
        }
    }
}
