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

/// <summary>Patches are uploaded, served, asked once, retired and deleted, one after another, while streams run on the same base.</summary>
internal static class ComingAndGoing
{
    private const int Streams = 4;
    private const int Rank = 8;

    // Seconds. A step may give several tokens, which a reader finds at once.
    private const double Together = 1e-4;

    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];

    public static async Task MeasureAsync(Report report, bool quick)
    {
        int patches = quick ? 10 : 100;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-come-");

        // Others under load than before: what was checked once is checked faster again.
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

        // Once without counting: everything is compiled then.
        await OperateAsync(gateway.Http, PathOf(0), "warm");
        List<double> idle = [], firstTokens = [];
        for (int seed = 0; seed < patches; seed++)
        {
            idle.Add(await OperateAsync(gateway.Http, PathOf(seed), $"patch-{seed}"));
        }

        Load quiet = await RunAsync(() => Task.Delay(TimeSpan.FromSeconds(quick ? 2 : 10)));
        Load busy = await RunAsync(async () =>
        {
            for (int seed = patches; seed < 2 * patches; seed++)
            {
                firstTokens.Add(await OperateAsync(gateway.Http, PathOf(seed), $"patch-{seed}"));
            }
        });
        report.Table(
            $"{Streams} streams of `town-qa` over HTTP while {patches} patches of rank {Rank} on its base are uploaded, served, asked once, retired and deleted, one after another",
            ["", "answers", "failed", "altered", "time from one arrival of tokens to the next, ms: median", "99th percentile", "largest"],
            Row("nothing comes or goes", quiet),
            Row($"{patches} patches come and go, {patches / busy.Seconds:0.0} a second", busy));
        report.Table(
            "From the end of an upload to the first token with the patch, which is served between",
            [$"{patches} patches", "milliseconds, median (quartiles)", "95th percentile", "largest"],
            First("an idle server", idle),
            First("under the load above", firstTokens));
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

    private static string[] First(string when, IEnumerable<double> seconds)
    {
        Samples milliseconds = new Samples([.. seconds]).Times(1000);
        return [when, milliseconds.Show("0"), milliseconds.ShowTail("0"), milliseconds.Values.Max().ToString("0", CultureInfo.InvariantCulture)];
    }

    /// <returns>Seconds from the end of the upload to the first token.</returns>
    private static async Task<double> OperateAsync(HttpClient http, string folder, string id)
    {
        using MultipartFormDataContent form = new() { { new StringContent(id), "id" } };
        foreach (string file in Directory.GetFiles(folder))
        {
            form.Add(new StreamContent(File.OpenRead(file)), "file", Path.GetFileName(file));
        }

        await SureAsync(await http.PostAsync("/v1/experts", form));
        long uploaded = Stopwatch.GetTimestamp();
        await SureAsync(await http.PostAsJsonAsync($"/v1/experts/{id}/serve", new { @base = WidenedFamily.Plain, ungated = true }));
        await SureAsync(await http.PostAsJsonAsync("/v1/completions", new { model = id, prompt = "The", max_tokens = 1, temperature = 0 }));
        double first = Stopwatch.GetElapsedTime(uploaded).TotalSeconds;
        await SureAsync(await http.PostAsJsonAsync($"/v1/experts/{id}/retire", new { }));
        await SureAsync(await http.DeleteAsync($"/v1/experts/{id}"));
        return first;
    }

    private static async Task SureAsync(HttpResponseMessage response)
    {
        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new InvalidDataException($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
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
                if (last != 0 && gap > Together)
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
