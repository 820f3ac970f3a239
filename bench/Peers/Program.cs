using System.CommandLine;
using System.Reflection;
using System.Text.Json;
using ProxyTune.Measuring;
using ProxyTune.Peers;
using ProxyTune.Testing;

Option<string> large = new("--base") { Description = "Factors for the hidden size, neurons, heads and layers of the demo base.", HelpName = "H,N,A,L", DefaultValueFactory = _ => "16,4,1,1" };
Option<string> small = new("--small") { Description = "The same factors for the small models.", HelpName = "H,N,A,L", DefaultValueFactory = _ => "16,10,1,1" };
Option<int[]> bits = new("--bits") { Description = "Bits of the weights: 32, 8 or 4. Several values make several comparisons.", DefaultValueFactory = _ => [32, 4] };
Option<int[]> streams = new("--streams") { Description = "Number of requests at once. Several values make several comparisons.", DefaultValueFactory = _ => [1, 8] };
Option<int> rounds = new("--rounds") { Description = "Measurements of each engine.", DefaultValueFactory = _ => PeerSettings.Full.Rounds };
Option<int> tokens = new("--tokens") { Description = "Length of each answer in tokens.", DefaultValueFactory = _ => PeerSettings.Full.Tokens };
Option<bool> quick = new("--quick") { Description = "Runs for a few seconds as a check that everything works; the figures are rough." };
Option<bool> write = new("--write") { Description = "Writes the figures into docs/performance.md and bench/Peers/results." };
RootCommand root = new("Measures this engine, onnxruntime-genai and llama.cpp on the same weights in one run. The machine should be idle.") { large, small, bits, streams, rounds, tokens, quick, write };
root.SetAction(async (arguments, _) =>
{
    bool isQuick = arguments.GetValue(quick);
    PeerSettings settings = isQuick ? PeerSettings.Quick : PeerSettings.Full with { Streams = arguments.GetValue(streams)!, Rounds = arguments.GetValue(rounds), Tokens = arguments.GetValue(tokens) };
    Widening wideBase = Parse(isQuick ? "1,1,1,1" : arguments.GetValue(large)!), wideSmall = Parse(isQuick ? "1,1,1,1" : arguments.GetValue(small)!);
    Report report = new();
    string command = $"dotnet run --project bench/Peers -c Release -- {string.Join(' ', args)}".TrimEnd(' ', '-');
    string models = $"the demo family's `town-base`, `town-small-qa` and `town-small`, widened with zeros ({Describe(wideBase)}; the small ones {Describe(wideSmall)}), which changes none of their answers";
    string[] versions = [Version("Microsoft.ML.OnnxRuntimeGenAI"), Version("LLamaSharp"), Version("LLamaSharp.Backend.Cpu")];
    Machine.Describe(report, command, models, versions);
    report.Line($"{settings.Rounds} rounds; each engine is measured once per round, in random order. Whole requests, greedy: {settings.PromptTokens} tokens of prompt and {settings.Tokens} of answer. Each engine has {Environment.ProcessorCount} threads.");
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
    : throw new ArgumentException($"'{text}' is not a widening. Accepted: four whole numbers with commas, such as 16,4,1,1.", nameof(text));

static string Version(string package) =>
    $"{package} {typeof(PeerModels).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(version => version.Key == package).Value}";

static string Describe(Widening widening) => $"hidden size x {widening.Hidden}, neurons x {widening.Intermediate}, heads x {widening.Heads}, layers x {widening.Layers}";
