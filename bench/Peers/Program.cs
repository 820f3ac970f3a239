using System.CommandLine;
using System.Reflection;
using System.Text.Json;
using ProxyTune.Measuring;
using ProxyTune.Peers;
using ProxyTune.Testing;

Option<string> large = new("--base") { Description = "Times the hidden size, neurons, heads and layers of the demo base.", HelpName = "H,N,A,L", DefaultValueFactory = _ => "16,4,1,1" };
Option<string> small = new("--small") { Description = "The same of the small models.", HelpName = "H,N,A,L", DefaultValueFactory = _ => "16,10,1,1" };
Option<int[]> bits = new("--bits") { Description = "32, 8 or 4; may be given twice.", DefaultValueFactory = _ => [32, 4] };
Option<int[]> streams = new("--streams") { Description = "Requests at once; may be given twice.", DefaultValueFactory = _ => [1, 8] };
Option<int> rounds = new("--rounds") { Description = "Measurements of each.", DefaultValueFactory = _ => PeerSettings.Full.Rounds };
Option<int> tokens = new("--tokens") { Description = "Of each answer.", DefaultValueFactory = _ => PeerSettings.Full.Tokens };
Option<bool> quick = new("--quick") { Description = "A few seconds, to see that all of it works; the figures are rough." };
Option<bool> write = new("--write") { Description = "Put the figures into docs/performance.md and bench/Peers/results." };
RootCommand root = new("Measures this engine, onnxruntime-genai and llama.cpp on the same weights in one run; wants a quiet machine.") { large, small, bits, streams, rounds, tokens, quick, write };
root.SetAction(async (arguments, _) =>
{
    bool isQuick = arguments.GetValue(quick);
    PeerSettings settings = isQuick ? PeerSettings.Quick : PeerSettings.Full with { Streams = arguments.GetValue(streams)!, Rounds = arguments.GetValue(rounds), Tokens = arguments.GetValue(tokens) };
    Widening wideBase = Parse(isQuick ? "1,1,1,1" : arguments.GetValue(large)!), wideSmall = Parse(isQuick ? "1,1,1,1" : arguments.GetValue(small)!);
    Report report = new();
    string command = $"dotnet run --project bench/Peers -c Release -- {string.Join(' ', args)}".TrimEnd(' ', '-');
    string models = $"the demo family's `town-base`, `town-small-qa` and `town-small`, widened with zeros ({Words(wideBase)}; the small ones {Words(wideSmall)}), which changes none of their answers";
    string[] versions = [Version("Microsoft.ML.OnnxRuntimeGenAI"), Version("LLamaSharp"), Version("LLamaSharp.Backend.Cpu")];
    Machine.Describe(report, command, models, versions);
    report.Line($"{settings.Rounds} rounds; each measurement once a round, in an order that is drawn anew. Whole requests: {settings.PromptTokens} tokens of prompt and {settings.Tokens} of answer each, greedy. Everybody has {Environment.ProcessorCount} threads.");
    report.Line();
    List<object> results = [];
    foreach (int precision in arguments.GetValue(bits)!)
    {
        using PeerModels folders = new(Repository.Models, wideBase, wideSmall, precision);
        results.AddRange((await Precision.MeasureAsync(folders, settings, report)).Select(comparison => comparison.ToJson()));
    }

    if (arguments.GetValue(write))
    {
        report.WriteInto(Path.Combine(Repository.Root, "docs", "performance.md"), "peers");
        string folder = Directory.CreateDirectory(Path.Combine(Repository.Root, "bench", "Peers", "results")).FullName;
        File.WriteAllText(Path.Combine(folder, "peers.json"), JsonSerializer.Serialize(new { command, models, versions, results }, new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }
});
return await root.Parse(args).InvokeAsync();

static Widening Parse(string text) => text.Split(',').Select(int.Parse).ToArray() is [var hidden, var neurons, var heads, var layers]
    ? new Widening(hidden, neurons, heads, layers)
    : throw new ArgumentException($"'{text}' is given; four numbers with commas are needed.", nameof(text));

static string Version(string package) =>
    $"{package} {typeof(PeerModels).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(version => version.Key == package).Value}";

static string Words(Widening widening) => $"hidden size x {widening.Hidden}, neurons x {widening.Intermediate}, heads x {widening.Heads}, layers x {widening.Layers}";
