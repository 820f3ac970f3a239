using System.Text.Json;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Fusion;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>
/// Compares the log-probabilities of a running server with the equations over logits of the trainer's decoder. This tests templates, ONNX
/// graphs, caches, fusion, masks and log-probabilities together.
/// </summary>
public sealed class ServedLogprobsTests : IAsyncLifetime, IDisposable
{
    private const string Base = "town-base";
    private const string Small = "town-small";
    private const string Reward = "reward";

    // Difference between two engines in single precision, in nats.
    private const double Tolerance = 2e-3;

    private static readonly Dictionary<string, string> Experts = new() { ["qa"] = "town-small-qa", ["json"] = "town-small-json", ["polite"] = "town-small-polite", [Reward] = "town-small-qa-reward" };
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly string folder = Directory.CreateTempSubdirectory("served-").FullName;
    private readonly TorchMembers torch;
    private readonly RunningGateway gateway;
    private readonly Tokenizer tokenizer = Tokenizer.Load(Path.Combine(Repository.Models, Base));
    private readonly Dictionary<string, int> ids = [];

    public ServedLogprobsTests()
    {
        foreach (string? name in Experts.Values.Append(Base).Append(Small))
        {
            Directory.CreateSymbolicLink(Path.Combine(folder, name), Path.Combine(Repository.Models, name));
        }

        File.WriteAllText(Path.Combine(folder, "catalog.json"), JsonSerializer.Serialize(new
        {
            served_models = new object[]
            {
                new
                {
                    name = "pairs", @base = Base, method = "proxy", amateur = Small, methods = FusionMethod.All.Select(method => method.Name).Where(name => name != "portable_reward"),
                    experts = Experts.Where(expert => expert.Key != Reward).Select(expert => new { name = expert.Key, model = expert.Value, anti_expert = Small, weight = 0 }),
                },
                new { name = "rewards", @base = Base, method = "portable_reward", experts = new[] { new { name = Reward, model = Experts[Reward] } } },
            },
        }));
        torch = new(folder);
        gateway = new(null, "--models", folder);
        for (int id = tokenizer.VocabularySize - 1; id >= 0; id--)
        {
            ids[Convert.ToHexString(tokenizer.TokenBytes(id))] = id;
        }
    }

    public static TheoryData<string> Fusions =>
    [
        """{ "method": "none" }""",
        """{ "method": "proxy", "alpha": 1, "experts": { "qa": 1 } }""",
        """{ "method": "proxy", "alpha": 0.9, "experts": { "qa": 0.7, "polite": 0.4 }, "schedule": { "kind": "linear", "tokens": 6, "from": 0.5 } }""",
        """{ "method": "proxy", "experts": { "qa": 1 }, "schedule": { "kind": "gated", "threshold": 0.8 }, "mask": { "kind": "top_k", "k": 20 } }""",
        """{ "method": "eft", "experts": { "qa": 1 }, "amplification": 1.3, "mask": { "kind": "delta", "p": 0.9 } }""",
        """{ "method": "eft", "experts": { "json": 0.4, "qa": 0.6 }, "schedule": { "kind": "warm_up", "tokens": 2 } }""",
        """{ "method": "dynamic", "experts": { "qa": 1 } }""",
        """{ "method": "dexperts", "experts": { "polite": 1 } }""",
        """{ "method": "contrastive", "alpha": 0.5 }""",
        """{ "method": "context_aware", "alpha": 0.7 }""",
        """{ "method": "portable_reward", "alpha": 0.8 }""",
    ];

    public Task InitializeAsync() => gateway.InitializeAsync();

    public Task DisposeAsync() => gateway.DisposeAsync();

    public void Dispose()
    {
        torch.Dispose();
        tokenizer.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Fusions))]
    public async Task Answer_AnyMethod_HasTheLogprobsOfItsEquation(string fusion)
    {
        ChatMessage context = new("user", "Clara Abbot has become a pilot.", ServedPlan.ContextName), question = new("user", "What does Clara Abbot do for a living?");
        bool isContextAware = fusion.Contains("context_aware", StringComparison.Ordinal);
        ChatMessage[] messages = isContextAware ? [context, question] : [question];
        JsonElement response = await gateway.AnswerAsync("/v1/chat/completions", new
        {
            model = fusion.Contains("portable_reward", StringComparison.Ordinal) ? "rewards" : "pairs",
            messages = messages.Select(message => new { role = message.Role, content = message.Content, name = message.Name }),
            temperature = 0,
            max_tokens = 20,
            logprobs = true,
            top_logprobs = 3,
            fusion = JsonDocument.Parse(fusion).RootElement,
        });
        JsonElement[] tokens = response.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray().ToArray();
        AskedFusion settled = response.GetProperty("fusion").Deserialize<AskedFusion>(Json)!;
        int[] answer = [.. tokens.Select(Id)];
        Assert.InRange(answer.Length, 4, 20);

        OracleRows[] rows = Rows(settled, messages, isContextAware ? [question] : null, answer);
        for (int i = 0; i < answer.Length; i++)
        {
            Dictionary<string, double>? factors = settled.Method == "dynamic" ? new Dictionary<string, double> { ["qa"] = DynamicScan.Factor(rows[i].Base, rows[i].Experts[0]) } : null;
            double[] logprobs = Distribution.Logprobs(FusionOracle.Token(settled, rows[i], i, factors).Row);
            Close(logprobs[answer[i]], tokens[i], $"token {i}");
            Assert.InRange(logprobs[answer[i]], logprobs.Max() - Tolerance, logprobs.Max());
            Assert.All(tokens[i].GetProperty("top_logprobs").EnumerateArray(), top => Close(logprobs[Id(top)], top, $"a likely token at {i}"));
        }
    }

    private OracleRows[] Rows(AskedFusion settled, ChatMessage[] messages, ChatMessage[]? withoutContext, int[] answer)
    {
        int width = tokenizer.VocabularySize;
        (double[][]? large, double[][]? small) = (Of(Base, messages), Of(Small, messages));
        double[][]? without = withoutContext is null ? null : Of(Base, withoutContext);
        (string Key, double[][] Rows)[] experts = settled.Experts?.Where(expert => expert.Value != 0).Select(expert => (expert.Key, Rows: Of(Experts[expert.Key], messages))).ToArray() ?? [];
        return [.. answer.Select((_, i) => new OracleRows(
            large[i], [.. experts.Select(expert => new OracleExpert(expert.Key, expert.Rows[i], expert.Key == Reward ? null : small[i]))], small[i], without?[i]))];

        double[][] Of(string member, ChatMessage[] read) => torch.Rows(member, torch.Read(member, read), answer, width);
    }

    private static void Close(double expected, JsonElement token, string what)
    {
        double given = token.GetProperty("logprob").GetDouble();
        Assert.True(Math.Abs(expected - given) <= Tolerance * Math.Max(1, Math.Abs(expected)), $"{what}: the server says {given}, the equation {expected}.");
    }

    private int Id(JsonElement token) => ids[Convert.ToHexString([.. token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte())])];
}
