using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>A server over the tiny family and a second expert. Its catalog has every method.</summary>
public sealed class MethodsGateway : IAsyncLifetime
{
    /// <summary>Accepts every method in a request, except those that need other models.</summary>
    public const string Any = "any";
    public const string Reward = "reward";

    /// <summary>Accepts other methods only from operators.</summary>
    public const string Narrow = "narrow";

    /// <summary>The base is its own expert, so base and expert always agree.</summary>
    public const string Twin = "twin";
    public const string Taught = "taught";
    public const string Poet = "small-poet";

    private static readonly object Plain = new { template = "plain" };
    private static readonly object Prompts = new { @base = Plain, expert = new { template = "chat" }, anti_expert = new { template = "chat" } };
    private static readonly object[] Both = [Expert("qa", TinyFamily.Expert, 1), Expert("poet", Poet, 0)];

    internal RunningGateway Server { get; } = new();

    public async Task InitializeAsync()
    {
        Server.Family.WriteModel(Poet, seed: 4);
        Server.Family.WriteCatalog(new { served_models = Entries() });
        await Server.InitializeAsync();
    }

    public Task DisposeAsync() => Server.DisposeAsync();

    /// <summary>Asks "Where?" and returns a few tokens with the 20 likeliest tokens of each.</summary>
    /// <param name="fusion">JSON of the field fusion; null for the settings of the served model.</param>
    internal Task<JsonElement> AskAsync(string model, string? fusion, int maxTokens = 1, object? messages = null, object? bias = null) =>
        Server.AnswerAsync("/v1/chat/completions", new
        {
            model,
            messages = messages ?? new[] { new { role = "user", content = "Where?" } },
            max_tokens = maxTokens,
            temperature = 0,
            logprobs = true,
            top_logprobs = 20,
            logit_bias = bias,
            fusion = fusion is null ? (JsonElement?)null : JsonDocument.Parse(fusion).RootElement,
        });

    private static Dictionary<string, object?>[] Entries() =>
    [
        new(Entry(Any, "proxy"))
        {
            ["methods"] = new[] { "none", "eft", "dynamic", "dexperts", "contrastive", "context_aware", "divergence" },
            ["alpha_range"] = new[] { -1.0, 3.0 },
            ["amplification_range"] = new[] { 0.5, 2.0 },
            ["experts"] = Both,
            ["amateur"] = TinyFamily.AntiExpert,
        },
        Entry(Narrow, "proxy"),
        new(Entry(Reward, "portable_reward")) { ["experts"] = new[] { new { name = "helper", model = TinyFamily.Expert } } },
        new(Entry(Twin, "proxy"))
        {
            ["experts"] = new[] { new { name = "twin", model = TinyFamily.Base, anti_expert = TinyFamily.AntiExpert } },
            ["prompts"] = new { @base = Plain, expert = Plain, anti_expert = Plain },
        },
        new(Entry(Taught, "proxy"))
        {
            ["prompts"] = new
            {
                @base = new { template = "plain", examples = new[] { new { user = "a", assistant = "b" } } },
                expert = new { template = "chat", system = "Be brief." },
                anti_expert = new { template = "chat", assistant_prefix = "In" },
            },
        },
        new(Entry("by-eft", "eft")) { ["alpha"] = 0.8, ["amplification"] = 1.5, ["mask"] = new { kind = "delta", p = 0.6 } },
        new(Entry("by-dynamic", "dynamic")) { ["mode"] = "single", ["search"] = "grid" },
        new(Entry("by-dexperts", "dexperts")) { ["alpha"] = 1.6 },
        new(Entry("by-divergence", "divergence")) { ["mask"] = new { kind = "rank", k = 5 }, ["special_tokens"] = "base" },
        new(Entry("by-contrastive", "contrastive")) { ["experts"] = null, ["amateur"] = TinyFamily.AntiExpert, ["alpha"] = 0.5 },
        new(Entry("by-context", "context_aware")) { ["experts"] = null },
        new(Entry("by-proxy", "proxy")) { ["mask"] = new { kind = "top_k", k = 4 }, ["schedule"] = new { kind = "linear", tokens = 4, from = 0.25 } },
    ];

    private static Dictionary<string, object?> Entry(string name, string method) => new()
    {
        ["name"] = name,
        ["base"] = TinyFamily.Base,
        ["method"] = method,
        ["experts"] = new[] { Expert("qa", TinyFamily.Expert, 1) },
        ["prompts"] = Prompts,
    };

    private static object Expert(string name, string model, double weight) =>
        new { name, model, anti_expert = TinyFamily.AntiExpert, weight, weight_range = new[] { -1.0, 2.0 } };
}

/// <summary>Tests that only send requests share the server.</summary>
[CollectionDefinition(Name)]
public sealed class MethodsCollection : ICollectionFixture<MethodsGateway>
{
    public const string Name = "methods";
}
