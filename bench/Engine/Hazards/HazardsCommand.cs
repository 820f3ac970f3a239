using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using MathNet.Numerics.Statistics;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Hazards;

/// <summary>Measures the time of one small request beside requests that could hold up everybody.</summary>
internal static class HazardsCommand
{
    private const int Streams = 8, Small = 300, SmallTokens = 8, LoadTokens = 64;
    private const string Model = "town-qa", Slow = "slow-template";

    // Takes most of the second that a template may take.
    private const string SlowTemplate = "{% for a in range(1000) %}{% for b in range(400) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}";

    public static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = "To see that all of it works; the figures are rough." };
        Command command = new("hazards", "Measures the time of one small request beside requests that could hold up everybody.") { quick };
        command.SetAction(async (arguments, _) =>
        {
            Report report = new();
            Machine.Describe(report, "dotnet run --project bench/Engine -c Release -- hazards", $"`{Model}` of the demo; a copy of `town-small-qa` with a slow template as an upload");
            await MeasureAsync(report, arguments.GetValue(quick) ? 30 : Small);
        });
        return command;
    }

    private static async Task MeasureAsync(Report report, int requests)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-hazards-");
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(Repository.Models, "--Experts:Folder", Path.Combine(folder.FullName, "experts"));
        await ServeSlowTemplateAsync(gateway.Http);
        string megabytes = string.Concat(Enumerable.Repeat("The town is small. ", 190_000)), stop = new('x', 12_000);
        (string Name, int Clients, Func<HttpClient, CancellationToken, Task> Load)[] hazards =
        [
            ("ordinary load alone", 0, (_, _) => Task.CompletedTask),
            ("a request of 32 prompts with n 8", 1, (http, end) => PostAsync(http, "completions", new { model = Model, prompt = Enumerable.Repeat("The", 32), n = 8, max_tokens = LoadTokens, temperature = 1 }, end)),
            ("4 clients with stop strings of 49 KB", 4, (http, end) => PostAsync(http, "completions", new { model = Model, prompt = "The", max_tokens = LoadTokens, stop = Enumerable.Repeat(stop, 4) }, end)),
            ("4 clients with the longest stop strings", 4, (http, end) => PostAsync(http, "completions", new { model = Model, prompt = "The", max_tokens = LoadTokens, stop = Enumerable.Range(0, 4).Select(i => new string('e', 1020 + i)) }, end)),
            ("32 clients of a slow template", 32, (http, end) => PostAsync(http, "chat/completions", new { model = Slow, max_tokens = 1, messages = new[] { new { role = "user", content = "a" } } }, end)),
            ("16 clients with prompts of 3.6 MB", 16, (http, end) => PostAsync(http, "completions", new { model = Model, prompt = megabytes, max_tokens = 1 }, end)),
            ("64 clients that hardly read", 64, ReadSlowlyAsync),
        ];
        List<string[]> rows = [];
        double? usual = null;
        foreach ((string name, int clients, Func<HttpClient, CancellationToken, Task> load) in hazards)
        {
            using CancellationTokenSource end = new();
            Task[] all =
            [
                .. Enumerable.Range(0, Streams).Select(i => LoopAsync(gateway, (http, stop) => PostAsync(http, "completions", new { model = Model, prompt = "In the town", max_tokens = LoadTokens, temperature = 1, ignore_eos = true, stream = true }, stop), end.Token)),
                .. Enumerable.Range(0, clients).Select(_ => LoopAsync(gateway, load, end.Token)),
            ];
            await Task.Delay(1000, CancellationToken.None);
            double[] times = await TimesAsync(gateway, requests);
            await end.CancelAsync();
            await Task.WhenAll(all);
            double tail = times.Quantile(0.99);
            usual ??= tail;
            rows.Add([name, Text(times.Median()), Text(tail), Text(times.Max()), (tail / usual.Value).ToString("0.0", CultureInfo.InvariantCulture), gateway.Resident.ToString("0", CultureInfo.InvariantCulture)]);
        }

        report.Table(
            $"One small request ({SmallTokens} tokens) after another, {requests} of them, beside {Streams} streams and the clients of the row",
            ["beside", "milliseconds, median", "99th percentile", "largest", "99th percentile / ordinary", "resident memory after, MiB"],
            [.. rows]);
        folder.Delete(recursive: true);

        static string Text(double seconds) => (seconds * 1000).ToString("0", CultureInfo.InvariantCulture);
    }

    private static async Task<double[]> TimesAsync(GatewayProcess gateway, int requests)
    {
        List<double> times = [];
        for (int i = 0; i < requests; i++)
        {
            long start = Stopwatch.GetTimestamp();
            using HttpResponseMessage response = await gateway.Http.PostAsJsonAsync("/v1/completions", new { model = Model, prompt = "Hazel", max_tokens = SmallTokens, temperature = 0, ignore_eos = true });
            response.EnsureSuccessStatusCode();
            await response.Content.ReadAsByteArrayAsync();
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return [.. times];
    }

    private static async Task LoopAsync(GatewayProcess gateway, Func<HttpClient, CancellationToken, Task> load, CancellationToken end)
    {
        using HttpClient own = new() { BaseAddress = gateway.Http.BaseAddress, Timeout = TimeSpan.FromMinutes(10) };
        while (!end.IsCancellationRequested)
        {
            try
            {
                await load(own, end);
            }
            catch (Exception error) when (error is OperationCanceledException or HttpRequestException or IOException)
            {
                // A refusal or a cut is part of the load.
            }
        }
    }

    private static async Task PostAsync(HttpClient http, string path, object body, CancellationToken end)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync($"/v1/{path}", body, end);
        await response.Content.ReadAsByteArrayAsync(end);
        if (!response.IsSuccessStatusCode)
        {
            // A refused client does not try again at once.
            await Task.Delay(100, end);
        }
    }

    private static async Task ReadSlowlyAsync(HttpClient http, CancellationToken end)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(new { model = Model, prompt = "The", max_tokens = 400, temperature = 1, ignore_eos = true, stream = true, logprobs = 20 }) };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, end);
        await using Stream stream = await response.Content.ReadAsStreamAsync(end);
        byte[] little = new byte[1024];
        while (await stream.ReadAsync(little, end) > 0)
        {
            await Task.Delay(500, end);
        }
    }

    private static async Task ServeSlowTemplateAsync(HttpClient http)
    {
        using HttpResponseMessage added = await ExpertUpload.PostAsync(http, Slow, Path.Combine(Repository.Models, "town-small-qa"), ("chat_template.jinja", SlowTemplate));
        string text = await added.Content.ReadAsStringAsync();
        using HttpResponseMessage served = await http.PostAsJsonAsync($"/v1/experts/{Slow}/serve", new { });
        if (!added.IsSuccessStatusCode || !served.IsSuccessStatusCode)
        {
            throw new InvalidDataException($"{Slow}: {text} {await served.Content.ReadAsStringAsync()}");
        }
    }
}
