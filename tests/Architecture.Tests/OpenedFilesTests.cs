using System.Net.Http.Json;

namespace ProxyTune.Architecture.Tests;

/// <summary>Compares the files whose code runs during a request with the lists in docs/architecture.md, and bounds their number.</summary>
public sealed class OpenedFilesTests
{
    private const int MaxFilesOfChat = 60, MaxFilesOfAlpha = 8;

    // The interpreter of chat templates is a language of its own. Nobody reads it to follow a request.
    private const string Interpreter = "Decoding/Text/Jinja/";

    [Fact]
    public async Task ChatRequest_Served_RunsOnlyCodeOfTheListedFiles()
    {
        IReadOnlyList<string> listed = ArchitectureDocument.Files("The files that a chat request opens");
        await using InstrumentedServer server = await InstrumentedServer.StartAsync();

        // Code that runs only at the first request belongs to the start.
        await AskAsync(server.Http);
        server.Clear();
        await AskAsync(server.Http);
        IReadOnlyList<string> ran = [.. server.Files().Where(file => !file.StartsWith(Interpreter, StringComparison.Ordinal))];

        Assert.True(ran.Count > 10, "The instrumented server has recorded too few files.");
        Assert.True(ran.All(listed.Contains), $"docs/architecture.md does not list {string.Join(", ", ran.Except(listed))}. The request ran:\n{string.Join('\n', ran)}");
        Assert.Empty(listed.Except(ran));
        Assert.InRange(listed.Count, 1, MaxFilesOfChat);
    }

    [Fact]
    public void Alpha_FromRequestToFusedRow_GoesThroughTheListedFiles()
    {
        IReadOnlyList<string> listed = ArchitectureDocument.Files("From alpha to the fused row");
        HashSet<(string From, string To)> edges = [.. Dependencies.Of("Gateway").Edges.Select(edge => Below("Gateway", edge)), .. Dependencies.Of("Decoding").Edges.Select(edge => Below("Decoding", edge))];

        Assert.InRange(listed.Count, 2, MaxFilesOfAlpha);
        foreach ((string from, string to) in listed.Zip(listed.Skip(1)).Where(pair => pair.First.Split('/')[0] == pair.Second.Split('/')[0]))
        {
            Assert.True(edges.Contains((from, to)) || edges.Contains((to, from)), $"docs/architecture.md lists {to} after {from}, but neither uses the other.");
        }

        static (string, string) Below(string project, (string From, string To) edge) => ($"{project}/{edge.From}", $"{project}/{edge.To}");
    }

    private static async Task AskAsync(HttpClient http)
    {
        using HttpResponseMessage answer = await http.PostAsJsonAsync("/v1/chat/completions", new
        {
            model = "town-qa",
            messages = new[] { new { role = "user", content = "Where does Ralph Holt live?" } },
            max_tokens = 20,
            fusion = new { alpha = 0.9 },
        });
        answer.EnsureSuccessStatusCode();
    }
}
