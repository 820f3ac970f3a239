using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using MathNet.Numerics.Statistics;
using ProxyTune.Bench.Speculation;
using ProxyTune.Testing;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Bench.Patches;

/// <summary>Uploads, serves, asks, retires and deletes patches, one after another, while streams run on the same base.</summary>
internal static class PatchesUnderLoad
{
    private const int Streams = 4;
    private const int Rank = 8;

    // A step may give several tokens at once. Events with a smaller gap (in seconds) belong to one step.
    private const double MinGap = 1e-4;

    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];

    public static async Task MeasureAsync(Report report, bool quick)
    {
        int patches = quick ? 10 : 100;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-load-");

        // The patches under load are not those of the idle server because the check of a known patch is faster.
        for (int seed = 0; seed < 2 * patches; seed++)
        {
            TinyPatch.WriteRank(PathOf(seed), Path.Combine(Repository.Models, WidenedFamily.Plain), seed, Rank, Attention);
        }

        await using GatewayProcess gateway = await GatewayProcess.StartAsync(Repository.Models, "--Experts:Folder", Path.Combine(folder.FullName, "experts"));
        Example[] questions = [.. TownData.Examples("town:qa/test").Take(40)];
        Dictionary<string, string> expected = [];
        foreach (Example question in questions)
        {
            expected[Text(question)] = (await AskAsync(gateway.Http, question)).Text;
        }

        // The first patch is a warm-up and is not counted.
        await RunPatchAsync(gateway.Http, PathOf(0), "warm");
        List<double> idle = [], firstTokens = [];
        for (int seed = 0; seed < patches; seed++)
        {
            idle.Add(await RunPatchAsync(gateway.Http, PathOf(seed), $"patch-{seed}"));
        }

        Load quiet = await RunAsync(() => Task.Delay(TimeSpan.FromSeconds(quick ? 2 : 10)));
        Load busy = await RunAsync(async () =>
        {
            for (int seed = patches; seed < 2 * patches; seed++)
            {
                firstTokens.Add(await RunPatchAsync(gateway.Http, PathOf(seed), $"patch-{seed}"));
            }
        });
        report.Table(
            $"{Streams} streams of `town-qa` over HTTP while {patches} patches of rank {Rank} on its base are uploaded, served, asked once, retired and deleted in turn",
            ["", "answers", "failed", "altered", "time between tokens, ms: median", "99th percentile", "largest"],
            Row("no patches", quiet),
            Row($"{patches} patches, {patches / busy.Seconds:0.0} per second", busy));
        report.Table(
            "Time from the end of an upload to the first token with the patch, including the request to serve it",
            [$"{patches} patches", "milliseconds, median (quartiles)", "95th percentile", "largest"],
            FirstToken("idle server", idle),
            FirstToken("under the load above", firstTokens));
        folder.Delete(recursive: true);

        string PathOf(int seed) => Path.Combine(folder.FullName, $"{seed}");

        async Task<Load> RunAsync(Func<Task> during)
        {
            long start = Stopwatch.GetTimestamp();
            using CancellationTokenSource end = new();
            Task<List<Answer>>[] streams = [.. Enumerable.Range(0, Streams).Select(async stream =>
            {
                List<Answer> answers = [];
                for (int i = stream; !end.IsCancellationRequested; i++)
                {
                    answers.Add(await AskAsync(gateway.Http, questions[i % questions.Length]));
                }

                return answers;
            })];
            await during();
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            await end.CancelAsync();
            return new(seconds, [.. (await Task.WhenAll(streams)).SelectMany(answers => answers)], expected);
        }
    }

    private static string[] Row(string name, Load load) =>
    [
        name, $"{load.Answers.Count}", $"{load.Answers.Count(answer => answer.Failed)}", $"{load.Answers.Count(answer => !answer.Failed && answer.Text != load.Expected[answer.Question])}",
        $"{load.Gaps.Median() * 1000:0.0}", $"{load.Gaps.Quantile(0.99) * 1000:0.0}", $"{load.Gaps.Max() * 1000:0.0}",
    ];

    private static string[] FirstToken(string load, IEnumerable<double> seconds)
    {
        Samples milliseconds = new Samples([.. seconds]).Times(1000);
        return [load, milliseconds.Show("0"), milliseconds.ShowTail("0"), milliseconds.Values.Max().ToString("0", CultureInfo.InvariantCulture)];
    }

    /// <summary>Uploads a patch, serves it, asks it once, retires it and deletes it.</summary>
    /// <returns>Time from the end of the upload to the first token, in seconds.</returns>
    private static async Task<double> RunPatchAsync(HttpClient http, string folder, string id)
    {
        await EnsureSuccessAsync(await ExpertUpload.PostAsync(http, id, folder));
        long uploaded = Stopwatch.GetTimestamp();
        await EnsureSuccessAsync(await http.PostAsJsonAsync($"/v1/experts/{id}/serve", new { @base = WidenedFamily.Plain, ungated = true }));
        await EnsureSuccessAsync(await http.PostAsJsonAsync("/v1/completions", new { model = id, prompt = "The", max_tokens = 1, temperature = 0 }));
        double first = Stopwatch.GetElapsedTime(uploaded).TotalSeconds;
        await EnsureSuccessAsync(await http.PostAsJsonAsync($"/v1/experts/{id}/retire", new { }));
        await EnsureSuccessAsync(await http.DeleteAsync($"/v1/experts/{id}"));
        return first;
    }

    private static async Task EnsureSuccessAsync(HttpResponseMessage response)
    {
        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new InvalidDataException($"The gateway answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
            }
        }
    }

    private static async Task<Answer> AskAsync(HttpClient http, Example question)
    {
        List<double> gaps = [];
        string text = "";
        bool isWhole = false;
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(new { model = "town-qa", temperature = 0, max_tokens = 48, stream = true, messages = new[] { new { role = "user", content = Text(question) } } }),
        };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        long last = 0;
        while (await reader.ReadLineAsync() is { } line)
        {
            isWhole |= line == "data: [DONE]";
            if (!line.StartsWith("data: {", StringComparison.Ordinal))
            {
                continue;
            }

            using JsonDocument chunk = JsonDocument.Parse(line["data: ".Length..]);
            if (chunk.RootElement.TryGetProperty("choices", out JsonElement choices) && choices[0].GetProperty("delta").TryGetProperty("content", out JsonElement piece) && piece.GetString() is { Length: > 0 } more)
            {
                text += more;
                long now = Stopwatch.GetTimestamp();
                double gap = Stopwatch.GetElapsedTime(last, now).TotalSeconds;
                if (last != 0 && gap > MinGap)
                {
                    gaps.Add(gap);
                }

                last = now;
            }
        }

        return new(Text(question), text, gaps, Failed: !isWhole || !response.IsSuccessStatusCode);
    }

    private static string Text(Example question) => question.Messages[^1].Content;

    private sealed record Answer(string Question, string Text, IReadOnlyList<double> Gaps, bool Failed);

    private sealed record Load(double Seconds, IReadOnlyList<Answer> Answers, IReadOnlyDictionary<string, string> Expected)
    {
        public double[] Gaps => [.. Answers.SelectMany(answer => answer.Gaps)];
    }
}
