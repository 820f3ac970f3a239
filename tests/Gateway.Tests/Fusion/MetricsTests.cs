using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ProxyTune.Gateway.Tests.Endpoints;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Compares GET /metrics with the traces of answers.</summary>
[Collection(Name)]
public sealed partial class MetricsTests : IAsyncLifetime
{
    private const string Name = "metrics";

    private readonly MethodsGateway gateway = new();

    public Task InitializeAsync() => gateway.InitializeAsync();

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Fact]
    public async Task Metrics_AfterTracedAnswers_AddUpToTheirTraces()
    {
        JsonElement gated = Summary(await gateway.AskAsync(MethodsGateway.Twin, """{"schedule":{"kind":"gated","threshold":0.01},"trace":true}""", 20));
        JsonElement dynamic = Summary(await gateway.AskAsync(MethodsGateway.Any, """{"method":"dynamic","trace":true}""", 20));
        await gateway.AskAsync(MethodsGateway.Twin, """{"schedule":{"kind":"gated","threshold":0.001}}""", 5);
        Dictionary<string, double> metrics = await ScrapeAsync();

        Assert.Equal(Sum("tokens"), metrics["proxytune_trace_tokens_total"]);
        Assert.Equal(Sum("changed_choices"), metrics["proxytune_trace_changed_choices_total"]);
        Assert.Equal(Sum("saturated"), metrics["proxytune_trace_saturated_total"]);
        Assert.Equal(Sum("gated"), metrics["proxytune_trace_gated_total"]);
        Assert.Equal(Sum("gated_changing"), metrics["proxytune_trace_gated_changing_total"]);
        Assert.Equal(Sum("tokens"), metrics["proxytune_trace_divergence_count"]);
        Assert.Equal(Mean(gated, "mean_divergence") + Mean(dynamic, "mean_divergence"), metrics["proxytune_trace_divergence_sum"], 1e-6);
        Assert.Equal(261 * Sum("tokens"), metrics["proxytune_trace_kept_sum"]);
        Assert.Equal(dynamic.GetProperty("tokens").GetInt32(), metrics["proxytune_trace_weight_count delta=qa"]);
        Assert.Equal(Mean(dynamic.GetProperty("mean_weights"), "qa", dynamic), metrics["proxytune_trace_weight_sum delta=qa"], 1e-6);
        Assert.InRange(metrics["proxytune_fusion_gated_total"], Sum("gated") + 1, Sum("gated") + 5);
        Assert.Equal(Sum("saturated"), metrics.GetValueOrDefault("proxytune_fusion_saturated_total"));

        double Sum(string field) => gated.GetProperty(field).GetInt32() + dynamic.GetProperty(field).GetInt32();

        double Mean(JsonElement holder, string field, JsonElement? of = null) => holder.GetProperty(field).GetDouble() * (of ?? holder).GetProperty("tokens").GetInt32();
    }

    [Fact]
    public async Task Metrics_AfterAnAudit_CountNoAnswersAndNoTraces()
    {
        await gateway.Server.AnswerAsync("/v1/audits", new { model = MethodsGateway.Any, expert = "qa", texts = 2, candidates = 2, max_tokens = 4 });
        Dictionary<string, double> metrics = await ScrapeAsync();

        Assert.DoesNotContain(metrics, metric => metric.Key.StartsWith("proxytune_trace_", StringComparison.Ordinal) && metric.Value > 0);
        Assert.DoesNotContain(metrics, metric => metric.Key.StartsWith("proxytune_answers_", StringComparison.Ordinal) && metric.Value > 0);
        Assert.InRange(metrics["proxytune_tokens_total"], 2, 200);
    }

    [Fact]
    public async Task Metrics_AfterAnswers_CountThem()
    {
        JsonElement answer = await gateway.Server.AnswerAsync("/v1/chat/completions", AnswerTests.Question(6, new() { ["model"] = MethodsGateway.Any, ["n"] = 2 }));
        using HttpResponseMessage refused = await gateway.Server.PostAsync("/v1/chat/completions", new { model = "nobody" });
        Dictionary<string, double> metrics = await ScrapeAsync();

        JsonElement usage = answer.GetProperty("usage");
        Assert.Equal(2, metrics["proxytune_answers_total outcome=length"] + metrics.GetValueOrDefault("proxytune_answers_total outcome=stop"));
        Assert.Equal(usage.GetProperty("completion_tokens").GetInt32(), metrics["proxytune_tokens_total"]);
        Assert.Equal(2 * usage.GetProperty("prompt_tokens").GetInt32(), metrics["proxytune_prompt_tokens_total"]);
        Assert.InRange(metrics["proxytune_steps_total"], 6, 12);
        Assert.Equal(0, metrics["proxytune_running"]);
        Assert.Equal(0, metrics["proxytune_waiting"]);
        Assert.Contains(metrics, metric => metric.Key.StartsWith("http_server_request_duration_seconds_count", StringComparison.Ordinal) && metric.Key.Contains("http_response_status_code=400", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Metrics_AfterTheSameQuestionTwice_CountTheCachedTokens()
    {
        Dictionary<string, object?> question = AnswerTests.Question(2, new()
        {
            ["model"] = MethodsGateway.Any,
            ["messages"] = new[] { new { role = "user", content = "Where were you when the lights went out?" } },
        });
        await gateway.Server.AnswerAsync("/v1/chat/completions", question);
        Dictionary<string, double> before = await ScrapeAsync();
        JsonElement again = await gateway.Server.AnswerAsync("/v1/chat/completions", question);
        Dictionary<string, double> metrics = await ScrapeAsync();

        int cached = again.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
        Assert.True(cached > 0);
        Assert.Equal(before["proxytune_prefix_misses_total"], metrics["proxytune_prefix_misses_total"]);
        Assert.InRange(metrics["proxytune_prefix_hits_total"] - before["proxytune_prefix_hits_total"], 2, 3);
        Assert.InRange(metrics["proxytune_prefix_tokens_total"] - before["proxytune_prefix_tokens_total"], cached, 4 * cached);
        Assert.Equal(0, metrics["proxytune_prefix_evictions_total"]);
        Assert.True(metrics["proxytune_key_values_limit_bytes"] > metrics["proxytune_key_values_cached_bytes"]);
        Assert.Equal(before["proxytune_key_values_cached_bytes"], metrics["proxytune_key_values_cached_bytes"]);
        Assert.True(metrics["proxytune_key_values_cached_bytes"] > 0);
        Assert.Equal(0, metrics["proxytune_key_values_live_bytes"]);
        Assert.Equal(0, metrics["proxytune_key_values_reserved_bytes"]);
    }

    private static JsonElement Summary(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("summary");

    /// <summary>Values by name and labels, without those of the exporter itself.</summary>
    private async Task<Dictionary<string, double>> ScrapeAsync()
    {
        string text = await gateway.Server.Http.GetStringAsync("/metrics");
        return Line().Matches(text).ToDictionary(
            line => string.Join(' ', [line.Groups["name"].Value, .. Label().Matches(line.Groups["labels"].Value)
                .Where(label => !label.Groups["name"].Value.StartsWith("otel_", StringComparison.Ordinal))
                .Select(label => $"{label.Groups["name"].Value}={label.Groups["value"].Value}")]),
            line => double.Parse(line.Groups["value"].Value, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^(?<name>\w+)(\{(?<labels>.*)\})? (?<value>[-+.eE0-9]+)( \d+)?\r?$", RegexOptions.Multiline)]
    private static partial Regex Line();

    [GeneratedRegex("(?<name>\\w+)=\"(?<value>[^\"]*)\"")]
    private static partial Regex Label();

    /// <summary>Runs alone because the instruments of the engine belong to the process.</summary>
    [CollectionDefinition(Name, DisableParallelization = true)]
    public sealed class Alone;
}
