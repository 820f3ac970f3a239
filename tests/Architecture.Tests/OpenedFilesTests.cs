using System.Net.Http.Json;

namespace ProxyTune.Architecture.Tests;

/// <summary>How many files a reader opens to follow a request: those whose code runs, as docs/architecture.md lists them.</summary>
public sealed class OpenedFilesTests
{
    private const int MaxFilesOfChat = 60, MaxFilesOfAlpha = 8;

    [Fact]
    public async Task ChatRequest_Served_RunsCodeOfTheListedFilesAlone()
    {
        IReadOnlyList<string> listed = ArchitectureDocument.Files("The files that a chat request opens");
        await using InstrumentedServer server = await InstrumentedServer.StartAsync();

        // What runs at the first request alone belongs to starting.
        await AskAsync(server.Http);
        server.Clear();
        await AskAsync(server.Http);
        IReadOnlyList<string> ran = server.Files();

        Assert.True(ran.Count > 10, "The server does not tell which files ran.");
        Assert.True(ran.All(listed.Contains), $"Not listed: {string.Join(", ", ran.Except(listed))}. All of them:\n{string.Join('\n', ran)}");
        Assert.Empty(listed.Except(ran));
        Assert.InRange(listed.Count, 1, MaxFilesOfChat);
    }

    [Fact]
    public void Alpha_FromRequestToFusedRow_PassesTheListedFiles()
    {
        IReadOnlyList<string> listed = ArchitectureDocument.Files("From alpha to the fused row");
        HashSet<(string From, string To)> edges = [.. Dependencies.Of("Gateway").Edges.Select(edge => Below("Gateway", edge)), .. Dependencies.Of("Decoding").Edges.Select(edge => Below("Decoding", edge))];

        Assert.InRange(listed.Count, 2, MaxFilesOfAlpha);
        foreach ((string from, string to) in listed.Zip(listed.Skip(1)).Where(pair => pair.First.Split('/')[0] == pair.Second.Split('/')[0]))
        {
            Assert.True(edges.Contains((from, to)) || edges.Contains((to, from)), $"{from} and {to} have nothing to do with each other.");
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
