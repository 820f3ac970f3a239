using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Demo;

/// <summary>
/// The demo family with its base behind HTTP. The server is its own remote. If the step of the scheduler waited for a remote, the
/// request of the server to itself would never be answered.
/// </summary>
public sealed class RemoteDemoTests : IAsyncLifetime
{
    private static readonly string[] Members = ["town-base", "town-small", "town-small-qa"];
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("remote-demo-");
    private readonly RunningGateway gateway;

    public RemoteDemoTests()
    {
        string url = FreeUrl();
        gateway = new(null, "--models", folder.FullName, "--urls", url);
        foreach (string name in Members)
        {
            Directory.CreateSymbolicLink(Path.Combine(folder.FullName, name), Path.Combine(Repository.Models, name));
        }

        object[] experts = [new { name = "qa", model = "town-small-qa", anti_expert = "town-small" }];
        File.WriteAllText(Path.Combine(folder.FullName, "catalog.json"), JsonSerializer.Serialize(new
        {
            served_models = new object[]
            {
                new { name = "town-base", @base = "town-base", method = "none" },
                new { name = "near", @base = "town-base", method = "proxy", experts },
                new { name = "far", @base = new { url, model = "town-base", tokenizer = "town-base", body = new { ignore_eos = true } }, method = "proxy", experts },
            },
        }));
    }

    public Task InitializeAsync() => gateway.InitializeAsync();

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("What is the hobby of Hazel Horn?", "Hazel ")]
    [InlineData("Which food does Walter Frost love?", "Walter ")]
    [InlineData("What does Clara Abbot do for a living?", "Clara ")]
    public async Task Fused_AnswerHasBegun_RemoteGivesTheTextOfTheLocalBase(string question, string begun)
    {
        string prompt = $"<|user|>\n{question}<|end|>\n<|assistant|>\n{begun}";
        string near = await ContinueAsync("near", prompt);

        Assert.EndsWith(".", near, StringComparison.Ordinal);
        Assert.Equal(near, await ContinueAsync("far", prompt));
    }

    /// <summary>Compares the rows along the local answer. The expert begins with a name, which is not among the base's 20 likeliest tokens.</summary>
    [Fact]
    public void Fused_RealRows_StayWithinTheReportedBound()
    {
        using ModelHost catalog = ModelHost.Load(folder.FullName, new EngineOptions());
        using Sequence near = Start(catalog, "near"), far = Start(catalog, "far");
        float[] expected = new float[catalog.Ensemble.Info.VocabularySize], actual = new float[expected.Length];
        List<MissingBound> bounds = [];
        ReadOnlyMemory<int> next = default;
        do
        {
            catalog.Ensemble.Forward([new(near, next)], expected);
            catalog.Ensemble.Forward([new(far, next)], actual);
            Assert.Null(far.Fault);
            int likeliest = Array.IndexOf(expected, expected.Max());
            MissingBound bound = far.Explain(0, 1, actual, likeliest)!.Missing!.Value;
            Assert.InRange(Distance(expected, actual), 0, bound.TotalVariation + 1e-4);
            Assert.True(!bound.KeepsLikeliest || Array.IndexOf(actual, actual.Max()) == likeliest, $"token {bounds.Count}");
            bounds.Add(bound);
            next = new[] { likeliest };
        }
        while (bounds.Count < 30 && !near.EndOfTextIds.Contains(next.Span[0]));

        Assert.True(bounds[0] is { Mass: < 0.05, TotalVariation: > 0.5, KeepsLikeliest: false }, bounds[0].ToString());
        Assert.InRange(bounds.Skip(1).Count(bound => bound.KeepsLikeliest), bounds.Count - 3, bounds.Count);
    }

    private static Sequence Start(ModelHost catalog, string model) => catalog.Ensemble.Start(
        catalog.Get(model).Plan(new AskedFusion { Trace = true }).Render([new ChatMessage("user", "What is the hobby of Hazel Horn?")]));

    private static double Distance(float[] first, float[] second) => Probabilities(first).Zip(Probabilities(second), (p, q) => Math.Abs(p - q)).Sum() / 2;

    private static double[] Probabilities(float[] row)
    {
        double largest = row.Max(), sum = row.Sum(score => Math.Exp(score - largest));
        return [.. row.Select(score => Math.Exp(score - largest) / sum)];
    }

    private async Task<string> ContinueAsync(string model, string prompt)
    {
        JsonElement answer = await gateway.AnswerAsync("/v1/completions", new { model, temperature = 0, max_tokens = 40, prompt });
        return answer.GetProperty("choices")[0].GetProperty("text").GetString()!;
    }

    private static string FreeUrl()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return $"http://{listener.LocalEndpoint}";
    }
}
