using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Chaos;

/// <summary>Retires, replaces, deletes, cancels and disconnects at random under load, and counts what goes wrong.</summary>
internal static partial class ChaosCommand
{
    private const int Streams = 32, Tokens = 40, Rank = 8;

    private static readonly string[] Kept = ["town-base", "town-qa", "town-json", "town-base-1", "town-polite"];
    private static readonly string[] Copied = ["town-small-qa", "town-small-json", "town-small"];
    private static readonly string[] Prompts = ["The", "Who lives in", "In the town", "A", "Question: where", "Hazel", "On Mill Street", "Once"];

    public static Command Create()
    {
        Option<double> minutes = new("--minutes") { Description = "How long.", DefaultValueFactory = _ => 10, HelpName = "NUMBER" };
        Command command = new("chaos", "Retires, replaces, deletes, cancels and disconnects at random under load: no process may end, no answer may be wrong, nothing may leak.") { minutes };
        command.SetAction(async (arguments, _) =>
        {
            Report report = new();
            Machine.Describe(report, $"dotnet run --project bench/Engine -c Release -- chaos --minutes {arguments.GetValue(minutes).ToString(CultureInfo.InvariantCulture)}", "the demo family of `models`; three copies of its small models and three random patches as uploads");
            await RunAsync(report, TimeSpan.FromMinutes(arguments.GetValue(minutes)));
        });
        return command;
    }

    private static async Task RunAsync(Report report, TimeSpan time)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-chaos-");
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(Repository.Models, "--Experts:Folder", Path.Combine(folder.FullName, "experts"));
        Upload[] uploads =
        [
            .. Copied.Select((name, i) => new Upload($"model-{i}", Path.Combine(Repository.Models, name), IsPatch: false)),
            .. Enumerable.Range(0, 3).Select(i =>
            {
                string patch = Path.Combine(folder.FullName, $"patch-{i}");
                TinyPatch.WriteRank(patch, Path.Combine(Repository.Models, "town-base"), i, Rank, "q_proj", "v_proj");
                return new Upload($"patch-{i}", patch, IsPatch: true);
            }),
        ];

        // What each model answers alone.
        Dictionary<(string Model, string Prompt), string> expected = [];
        foreach (Upload upload in uploads)
        {
            await upload.AddAsync(gateway.Http);
            await upload.ServeAsync(gateway.Http);
        }

        foreach (string model in Kept.Concat(uploads.Select(upload => upload.Id)))
        {
            foreach (string prompt in Prompts)
            {
                expected[(model, prompt)] = (await AskAsync(gateway.Http, model, prompt, null)).Text!;
            }
        }

        double before = gateway.Resident;
        int filesBefore = gateway.OpenFiles;
        Counts counts = new();
        using CancellationTokenSource end = new(time);
        Task<List<double>> resident = SampleAsync(gateway, end.Token);
        Task operators = OperateAsync(gateway.Http, uploads, counts, end.Token);
        await Task.WhenAll([operators, .. Enumerable.Range(0, Streams).Select(i => ClientAsync(gateway, [.. Kept, .. uploads.Select(upload => upload.Id)], expected, counts, i, end.Token))]);

        foreach (Upload upload in uploads)
        {
            await upload.RemoveAsync(gateway.Http);
        }

        string metrics = "";
        for (int i = 0; i < 200; i++)
        {
            await Task.Delay(100);
            metrics = await gateway.Http.GetStringAsync("/metrics");
            if (Metric(metrics, "proxytune_running") == 0 && Metric(metrics, "proxytune_waiting") == 0 && Metric(metrics, "proxytune_key_values_reserved_bytes") == 0)
            {
                break;
            }
        }

        List<double> samples = await resident;
        report.Line($"Resident memory by the minute, MiB: {string.Join(", ", samples.Select(one => one.ToString("0", CultureInfo.InvariantCulture)))}.");
        if (samples.Count > 5)
        {
            report.Line($"At the end / after 5 minutes: {(samples[^1] / samples[4]).ToString("0.00", CultureInfo.InvariantCulture)}.");
        }

        report.Line();
        report.Table(
            $"{Streams} clients for {time.TotalMinutes:0.#} minutes",
            ["", "number"],
            ["answers that were read to their end", $"{counts.Whole}"],
            ["of them other than alone", $"{counts.Wrong}"],
            ["answers that were cancelled or whose connection was reset", $"{counts.Left}"],
            ["requests for a name that was retired at that moment (404)", $"{counts.Absent}"],
            ["other errors", $"{counts.Failed}{(counts.Example is null ? "" : $", such as: {counts.Example}")}"],
            ["models and patches served, retired, replaced or deleted", $"{counts.Operations}"],
            ["/readyz at the end", (await gateway.Http.GetAsync("/readyz")).StatusCode.ToString()],
            ["faults of decode loops", Show("proxytune_faults_total")],
            ["answers that still run, wait", $"{Show("proxytune_running")}, {Show("proxytune_waiting")}"],
            ["bytes of keys and values still reserved, live", $"{Show("proxytune_key_values_reserved_bytes")}, {Show("proxytune_key_values_live_bytes")}"],
            ["open files before, after", $"{filesBefore}, {gateway.OpenFiles}"],
            ["resident memory before, after, MiB", $"{before:0}, {gateway.Resident:0}"]);
        folder.Delete(recursive: true);

        string Show(string name) => Metric(metrics, name)?.ToString(CultureInfo.InvariantCulture) ?? "absent";
    }

    /// <summary>Resident memory under load, once a minute, in MiB.</summary>
    private static async Task<List<double>> SampleAsync(GatewayProcess gateway, CancellationToken end)
    {
        List<double> samples = [];
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromMinutes(1), end);
                samples.Add(gateway.Resident);
            }
        }
        catch (OperationCanceledException)
        {
            return samples;
        }
    }

    private static double? Metric(string metrics, string name)
    {
        double[] values = [.. Sample().Matches(metrics).Where(line => line.Groups["name"].Value == name).Select(line => double.Parse(line.Groups["value"].Value, CultureInfo.InvariantCulture))];
        return values.Length == 0 ? null : values.Sum();
    }

    private static async Task OperateAsync(HttpClient http, Upload[] uploads, Counts counts, CancellationToken end)
    {
        Random random = new(1);
        while (!end.IsCancellationRequested)
        {
            Upload upload = uploads[random.Next(uploads.Length)];
            try
            {
                switch (random.Next(4))
                {
                    case 0:
                        await upload.RetireAsync(http);
                        break;
                    case 1:
                        await upload.RetireAsync(http);
                        await upload.ServeAsync(http);
                        break;
                    case 2:
                        await upload.RemoveAsync(http);
                        await upload.AddAsync(http);
                        await upload.ServeAsync(http);
                        break;
                    default:
                        await upload.ServeAsync(http);
                        break;
                }

                counts.Operations++;
            }
            catch (InvalidDataException error)
            {
                counts.Fail(error.Message);
            }

            await Task.Delay(random.Next(100), CancellationToken.None);
        }
    }

    private static async Task ClientAsync(
        GatewayProcess gateway, string[] models, Dictionary<(string, string), string> expected, Counts counts, int seed, CancellationToken end)
    {
        Random random = new(seed);
        HttpClient own = new() { BaseAddress = gateway.Http.BaseAddress };
        while (!end.IsCancellationRequested)
        {
            string model = models[random.Next(models.Length)], prompt = Prompts[random.Next(Prompts.Length)];
            int? leaveAfter = random.Next(3) == 0 ? random.Next(1, 20) : null;
            try
            {
                (HttpStatusCode status, string? text) = await AskAsync(own, model, prompt, leaveAfter);
                if (status == HttpStatusCode.NotFound)
                {
                    Interlocked.Increment(ref counts.Absent);
                }
                else if (status != HttpStatusCode.OK)
                {
                    counts.Fail($"{(int)status} {text}");
                }
                else if (leaveAfter is not null)
                {
                    Interlocked.Increment(ref counts.Left);
                    if (random.Next(2) == 0)
                    {
                        // Resets the connections that are open.
                        own.Dispose();
                        own = new() { BaseAddress = gateway.Http.BaseAddress };
                    }
                }
                else
                {
                    Interlocked.Increment(ref counts.Whole);
                    if (text != expected[(model, prompt)])
                    {
                        Interlocked.Increment(ref counts.Wrong);
                        counts.Example ??= $"{model}, '{prompt}': '{text}' instead of '{expected[(model, prompt)]}'";
                    }
                }
            }
            catch (Exception error) when (error is HttpRequestException or IOException or JsonException)
            {
                counts.Fail(error.Message);
                await Task.Delay(100, CancellationToken.None);
            }
        }

        own.Dispose();
    }

    /// <param name="leaveAfter">The number of events after which the client leaves; null reads all.</param>
    /// <returns>The status, and the text or the error.</returns>
    private static async Task<(HttpStatusCode Status, string? Text)> AskAsync(HttpClient http, string model, string prompt, int? leaveAfter)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(new { model, prompt, max_tokens = Tokens, temperature = 0, stream = true, ignore_eos = true }) };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!response.IsSuccessStatusCode)
        {
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }

        StringBuilder text = new();
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        for (int events = 0; await reader.ReadLineAsync() is { } line;)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal))
            {
                continue;
            }

            JsonElement json = JsonElement.Parse(line["data: ".Length..]);
            if (json.TryGetProperty("error", out JsonElement error))
            {
                return (HttpStatusCode.InternalServerError, error.GetRawText());
            }

            text.Append(json.GetProperty("choices")[0].GetProperty("text").GetString());
            if (++events == leaveAfter)
            {
                break;
            }
        }

        return (response.StatusCode, text.ToString());
    }

    [GeneratedRegex(@"^(?<name>[a-z_]+)(\{[^}]*\})? (?<value>[0-9.eE+-]+)", RegexOptions.Multiline)]
    private static partial Regex Sample();

    private sealed class Counts
    {
        public int Whole, Wrong, Left, Absent, Failed, Operations;

        public string? Example { get; set; }

        public void Fail(string message)
        {
            Interlocked.Increment(ref Failed);
            Example ??= message;
        }
    }

    /// <summary>An expert that an operator uploads. Each call may find it in another state than it expects.</summary>
    private sealed record Upload(string Id, string Folder, bool IsPatch)
    {
        private static readonly HttpStatusCode[] Fine = [HttpStatusCode.OK, HttpStatusCode.Created, HttpStatusCode.NoContent, HttpStatusCode.NotFound, HttpStatusCode.Conflict];

        public async Task AddAsync(HttpClient http) => await CheckAsync(await ExpertUpload.PostAsync(http, Id, Folder));

        public async Task ServeAsync(HttpClient http) =>
            await CheckAsync(await http.PostAsJsonAsync($"/v1/experts/{Id}/serve", IsPatch ? new { @base = "town-base", ungated = true } : (object)new { }), served: "is served already");

        public async Task RetireAsync(HttpClient http) => await CheckAsync(await http.PostAsJsonAsync($"/v1/experts/{Id}/retire", new { }));

        public async Task RemoveAsync(HttpClient http)
        {
            await RetireAsync(http);
            await CheckAsync(await http.DeleteAsync($"/v1/experts/{Id}"));
        }

        private static async Task CheckAsync(HttpResponseMessage response, string? served = null)
        {
            using (response)
            {
                string text = await response.Content.ReadAsStringAsync();
                if (!Fine.Contains(response.StatusCode) && !(served is not null && text.Contains(served, StringComparison.Ordinal)))
                {
                    throw new InvalidDataException($"{response.RequestMessage?.RequestUri?.PathAndQuery}: {(int)response.StatusCode} {text}");
                }
            }
        }
    }
}
