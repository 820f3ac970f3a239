using System.CommandLine;
using ProxyTune.Load;
using ProxyTune.Measuring;
using ProxyTune.Testing;

Option<Uri?> url = new("--url") { Description = "A server that runs; without it one is started over the models.", HelpName = "URL" };
Option<string> models = new("--models") { Description = "Models folder for it.", HelpName = "FOLDER", DefaultValueFactory = _ => Repository.Models };
Option<int[]> clients = new("--clients") { Description = "Closed loop: clients that each send their next request when they have their answer. Several numbers are several runs.", DefaultValueFactory = _ => [1, 4, 16], AllowMultipleArgumentsPerToken = true };
Option<double[]> rates = new("--rate") { Description = "Open loop instead: requests a second, at random.", AllowMultipleArgumentsPerToken = true };
Option<double> seconds = new("--seconds") { Description = "Of each run, without the last answers.", DefaultValueFactory = _ => 20 };
Option<string> prompt = new("--prompt") { Description = "Tokens.", HelpName = "N or N-M", DefaultValueFactory = _ => "16-256" };
Option<string> answer = new("--answer") { Description = "Tokens.", HelpName = "N or N-M", DefaultValueFactory = _ => "16-128" };
Option<string> mix = new("--mix") { Description = "Served models, with shares.", HelpName = "NAME=SHARE,...", DefaultValueFactory = _ => "town-qa=2,town-json=1,town-polite=1" };
Option<int> vocabulary = new("--vocabulary") { Description = "Words of the models.", DefaultValueFactory = _ => 1776 };
Option<int[]> banned = new("--ban") { Description = "Token ids that would end an answer.", DefaultValueFactory = _ => [0, 4], AllowMultipleArgumentsPerToken = true };
Option<int> seed = new("--seed") { DefaultValueFactory = _ => 1 };
Option<string?> output = new("--output") { Description = "Gets load.md, load.json and pictures.", HelpName = "FOLDER" };
Option<bool> quick = new("--quick") { Description = "A few seconds, to see that all of it works." };
RootCommand root = new("Sends the server streamed requests and says how it did.") { url, models, clients, rates, seconds, prompt, answer, mix, vocabulary, banned, seed, output, quick };
root.SetAction(async (arguments, _) =>
{
    double[] open = arguments.GetValue(rates) ?? [];
    bool isOpen = open.Length > 0;
    TimeSpan duration = TimeSpan.FromSeconds(arguments.GetValue(quick) ? 1 : arguments.GetValue(seconds));
    LoadPlan plan = new(
        Span.Parse(arguments.GetValue(prompt)!), Span.Parse(arguments.GetValue(answer)!), LoadPlan.ParseMix(arguments.GetValue(mix)!),
        arguments.GetValue(vocabulary), arguments.GetValue(banned)!, arguments.GetValue(seed));
    await using GatewayProcess? own = arguments.GetValue(url) is null ? await GatewayProcess.StartAsync(arguments.GetValue(models)!) : null;
    using HttpClient? others = arguments.GetValue(url) is { } address ? new HttpClient { BaseAddress = address } : null;
    HttpClient http = own?.Http ?? others!;
    string asked = $"prompts of {plan.Prompt} tokens, answers of {plan.Answer}, {string.Join(", ", plan.Mix.Select(entry => $"{entry.Model} {entry.Share}"))}";
    Report report = new();
    Machine.Describe(report, $"dotnet run --project bench/Load -c Release -- {string.Join(' ', args)}".TrimEnd(' ', '-'), asked);

    // What is compiled and allocated at first belongs to no figure.
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
