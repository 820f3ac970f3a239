using System.CommandLine;
using ProxyTune.Load;
using ProxyTune.Measuring;
using ProxyTune.Testing;

Option<Uri?> url = new("--url") { Description = "URL of a running server; by default the program starts one over the models.", HelpName = "URL" };
Option<string> models = new("--models") { Description = "Models folder of the server that the program starts.", HelpName = "FOLDER", DefaultValueFactory = _ => Repository.Models };
Option<int[]> clients = new("--clients") { Description = "Closed loop: number of clients; each waits for its answer before it sends the next request. Several numbers make several runs.", DefaultValueFactory = _ => [1, 4, 16], AllowMultipleArgumentsPerToken = true };
Option<double[]> rates = new("--rate") { Description = "Open loop: mean number of requests per second, at random times. Several numbers make several runs. It replaces --clients.", AllowMultipleArgumentsPerToken = true };
Option<double> seconds = new("--seconds") { Description = "Length of each run in seconds; the answers to the last requests may take longer.", DefaultValueFactory = _ => 20 };
Option<string> prompt = new("--prompt") { Description = "Length of the prompts in tokens.", HelpName = "N or N-M", DefaultValueFactory = _ => "16-256" };
Option<string> answer = new("--answer") { Description = "Length of the answers in tokens.", HelpName = "N or N-M", DefaultValueFactory = _ => "16-128" };
Option<string> mix = new("--mix") { Description = "Served models with their shares of the requests.", HelpName = "NAME=SHARE,...", DefaultValueFactory = _ => "town-qa=2,town-json=1,town-polite=1" };
Option<int> vocabulary = new("--vocabulary") { Description = "Number of tokens in the vocabulary of the models.", DefaultValueFactory = _ => 1776 };
Option<int[]> banned = new("--ban") { Description = "Token ids that answers must not contain because they would end them.", DefaultValueFactory = _ => [0, 4], AllowMultipleArgumentsPerToken = true };
Option<int> seed = new("--seed") { Description = "Seed of the random requests.", DefaultValueFactory = _ => 1 };
Option<string?> output = new("--output") { Description = "Folder for load.md, load.json and the plots.", HelpName = "FOLDER" };
Option<bool> quick = new("--quick") { Description = "Runs for a second per load, as a check that everything works." };
RootCommand root = new("Sends streamed requests to a server and reports latencies, throughput and failures.") { url, models, clients, rates, seconds, prompt, answer, mix, vocabulary, banned, seed, output, quick };
root.SetAction(async (arguments, _) =>
{
    double[] open = arguments.GetValue(rates) ?? [];
    bool isOpen = open.Length > 0;
    TimeSpan duration = TimeSpan.FromSeconds(arguments.GetValue(quick) ? 1 : arguments.GetValue(seconds));
    LoadPlan plan = new(
        LengthRange.Parse(arguments.GetValue(prompt)!), LengthRange.Parse(arguments.GetValue(answer)!), LoadPlan.ParseMix(arguments.GetValue(mix)!),
        arguments.GetValue(vocabulary), arguments.GetValue(banned)!, arguments.GetValue(seed));
    await using GatewayProcess? own = arguments.GetValue(url) is null ? await GatewayProcess.StartAsync(arguments.GetValue(models)!) : null;
    using HttpClient? external = arguments.GetValue(url) is { } address ? new HttpClient { BaseAddress = address } : null;
    HttpClient http = own?.Http ?? external!;
    string asked = $"prompts of {plan.Prompt} tokens, answers of {plan.Answer}, {string.Join(", ", plan.Mix.Select(entry => $"{entry.Model} {entry.Share}"))}";
    Report report = new();
    Machine.Describe(report, $"dotnet run --project bench/Load -c Release -- {string.Join(' ', args)}".TrimEnd(' ', '-'), asked);

    // The warm-up run keeps the first compilations and allocations out of the figures.
    await Loops.ClosedAsync(http, plan with { Seed = plan.Seed + 1 }, 4, TimeSpan.FromSeconds(Math.Min(2, duration.TotalSeconds)));
    List<LoadRun> runs = [];
    foreach (double rate in open)
    {
        runs.Add(new($"{rate} requests/s", rate, await Loops.OpenAsync(http, plan, rate, duration)));
    }

    foreach (int count in isOpen ? [] : arguments.GetValue(clients)!)
    {
        runs.Add(new($"{count} client{(count == 1 ? "" : "s")}", count, await Loops.ClosedAsync(http, plan, count, duration)));
    }

    LoadReport.Show(report, runs);
    if (arguments.GetValue(output) is { } folder)
    {
        LoadReport.Write(folder, report, runs, new { asked, plan.Seed, seconds = duration.TotalSeconds }, isOpen ? "requests/s" : "clients");
    }
});
return await root.Parse(args).InvokeAsync();
