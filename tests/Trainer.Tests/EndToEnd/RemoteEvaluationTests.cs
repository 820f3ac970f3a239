using System.Diagnostics;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>Tests <c>evaluate --url</c> as a process that calls a running server.</summary>
public sealed class RemoteEvaluationTests : IAsyncLifetime
{
    private const string Served = "pair";
    private const string Key = "an operator's key";

    // The program runs from its own build output, because here the server's framework replaces some of its libraries.
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory.Replace("Trainer.Tests", "Trainer", StringComparison.Ordinal), Path.GetFileName(typeof(Sft).Assembly.Location));

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string folder = Tiny.NewFolder();
    private readonly string data;
    private readonly RunningGateway gateway;

    public RemoteEvaluationTests()
    {
        string models = Directory.CreateDirectory(Path.Combine(folder, "models")).FullName;
        foreach (string? name in new[] { "town-base", "town-small", "town-small-polite" })
        {
            Directory.CreateSymbolicLink(Path.Combine(models, name), Path.Combine(Repository.Models, name));
        }

        File.WriteAllText(Path.Combine(models, "catalog.json"), $$"""
            { "served_models": [{ "name": "{{Served}}", "base": "town-base", "method": "proxy", "alpha_range": [-1, 1],
              "experts": [{ "name": "polite", "model": "town-small-polite", "anti_expert": "town-small" }] }] }
            """);

        // There are more questions than concurrent requests, and two have no right answer.
        IEnumerable<Example> examples = TownData.Examples("town:polite/test").Take(20).Select((example, i) => i < 2 ? example with { Answer = "Never." } : example);
        data = Tiny.SaveExamples(folder, examples);
        gateway = new(null, "--models", models, "--Operator:Key", Key);
    }

    public Task InitializeAsync() => gateway.InitializeAsync();

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Json_ServedModel_PrintsTheCountsAndNothingElse()
    {
        (int code, string? output, string? error) = await RunAsync(Url, null);

        Assert.Equal((0, ""), (code, error));
        JsonElement counts = JsonDocument.Parse(output).RootElement;
        Assert.Equal("""{"right":18,"total":20,"degenerate":0}""", counts.GetRawText());
    }

    /// <summary>Checks that the program sends the operator key of its environment.</summary>
    [Theory]
    [InlineData(Key, 0)]
    [InlineData("", 1)]
    public async Task Fusion_BelowZero_NeedsTheKey(string key, int expected)
    {
        (int code, string? output, string? error) = await RunAsync(Url, key, "--fusion", """{ "alpha": -1 }""");

        Assert.Equal(expected, code);
        Assert.Equal(expected == 0 ? """{"right":0,"total":20,"degenerate":0}""" : "", output.Trim());
        Assert.Equal(expected != 0, error.Contains("403", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/v1", "'pair' at http://127.0.0.1:1/v1")]
    [InlineData("nowhere", "--url is 'nowhere'; accepted is the base URL of an API")]
    public async Task Url_NoServer_ExitsWith1AndOneLine(string url, string expected)
    {
        (int code, string? output, string? error) = await RunAsync(url, null);

        Assert.Equal((1, ""), (code, output));
        Assert.Contains(expected, Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    private string Url => new Uri(gateway.Http.BaseAddress!, "v1").ToString();

    private async Task<(int Code, string Output, string Error)> RunAsync(string url, string? key, params string[] more)
    {
        ProcessStartInfo start = new("dotnet", [Program, "evaluate", "--url", url, "--served", Served, "--data", data, "--json", .. more])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        start.Environment[Evaluate.KeyVariable] = key;
        using Process process = Process.Start(start)!;
        (Task<string>? output, Task<string>? error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Patience);
        return (process.ExitCode, await output, await error);
    }
}
