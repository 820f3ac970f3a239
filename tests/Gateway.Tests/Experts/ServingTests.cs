using System.Net;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests experts that operators serve over HTTP to all clients.</summary>
public sealed class ServingTests : IAsyncLifetime
{
    private readonly RunningGateway gateway = new(null, "--Operator:Key", "secret");

    public async Task InitializeAsync()
    {
        await gateway.InitializeAsync();
        await gateway.UploadPatchAsync("alice", seed: 1);
        Become("secret");
    }

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Fact]
    public async Task Serve_Patch_IsListedAndAnswersUntilRetired()
    {
        JsonElement served = await gateway.AnswerAsync("/v1/experts/alice/serve", new { name = "base-for-alice" });
        Assert.Equal("base-for-alice", served.GetProperty("id").GetString());
        Assert.Contains("base-for-alice", await ModelsAsync());
        string patched = await AskAsync("base-for-alice"), plain = await AskAsync(TinyFamily.PlainAsServed);
        Assert.NotEqual(plain, patched);

        JsonElement retired = await gateway.AnswerAsync("/v1/experts/alice/retire", new { });
        Assert.Equal("base-for-alice", retired.GetProperty("names")[0].GetString());
        Assert.DoesNotContain("base-for-alice", await ModelsAsync());
        await RefusedAsync(HttpStatusCode.NotFound, "model_not_found", "/v1/completions", new { model = "base-for-alice", prompt = "a" });
    }

    public static TheoryData<string, object, HttpStatusCode, string, string> Refused => new()
    {
        { "/v1/experts/nobody/serve", new { }, HttpStatusCode.NotFound, "upload_not_found", "'nobody'" },
        { "/v1/experts/nobody/retire", new { }, HttpStatusCode.NotFound, "upload_not_found", "'nobody'" },
        { "/v1/experts/nobody/rollback", new { }, HttpStatusCode.NotFound, "upload_not_found", "'nobody'" },
        { "/v1/experts/alice/serve", new { name = "a b" }, HttpStatusCode.BadRequest, "invalid_value", "accepted are letters" },
        { "/v1/experts/alice/serve", new { name = TinyFamily.Plain }, HttpStatusCode.BadRequest, "invalid_value", "is served already" },
        { "/v1/experts/alice/serve", new { weight = 1e9 }, HttpStatusCode.BadRequest, "invalid_value", "weight is 1000000000" },
        { "/v1/experts/alice/serve", new { @base = "nothing" }, HttpStatusCode.BadRequest, "invalid_value", "there is no model folder 'nothing'" },
        { "/v1/experts/alice/serve", new { @base = "small" }, HttpStatusCode.Conflict, "not_gated", "trained on other weights" },
        {
            "/v1/experts/alice/serve",
            new { entry = new { name = "far", @base = new { url = "http://127.0.0.1:1/v1", model = "m", tokenizer = "base", api_key_env = "HOME" } } },
            HttpStatusCode.BadRequest, "invalid_value", "entry.base is an object"
        },
        { "/v1/experts/alice/serve", new { entry = new { name = "x", @base = "base", patches = new object?[] { null } } }, HttpStatusCode.BadRequest, "invalid_value", "patches[0].patch is ''" },
        { "/v1/experts/alice/serve", new { entry = new { name = "x", @base = "base", experts = new object?[] { null } } }, HttpStatusCode.BadRequest, "invalid_value", "experts[0].name is ''" },
        { "/v1/experts/alice/serve", new { bass = "small" }, HttpStatusCode.BadRequest, "invalid_value", "bass" },
        { "/v1/experts/alice/retire", new { name = "nothing" }, HttpStatusCode.NotFound, "model_not_found", "not served as 'nothing'" },
        { "/v1/experts/alice/rollback", new { }, HttpStatusCode.BadRequest, "invalid_value", "nothing to roll back" },
        { "/v1/experts/alice/port", new { @base = "small" }, HttpStatusCode.UnsupportedMediaType, "unsupported_media_type", "multipart/form-data" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Operate_InvalidRequest_IsRefusedAndChangesNothing(string path, object body, HttpStatusCode status, string code, string words)
    {
        string[] before = await ModelsAsync();

        string message = await RefusedAsync(status, code, path, body);

        Assert.Contains(words, message, StringComparison.Ordinal);
        Assert.Equal(before, await ModelsAsync());
    }

    [Theory]
    [InlineData("/v1/experts/alice/serve")]
    [InlineData("/v1/experts/alice/retire")]
    [InlineData("/v1/experts/alice/rollback")]
    public async Task Operate_WithoutTheKey_IsRefused(string path)
    {
        Become(null);
        await RefusedAsync(HttpStatusCode.Forbidden, "operator_only", path, new { });
        Become("wrong");
        await RefusedAsync(HttpStatusCode.Forbidden, "operator_only", path, new { });
    }

    [Fact]
    public async Task Serve_ForOperatorsOnly_IsHiddenFromOtherCallers()
    {
        await gateway.AnswerAsync("/v1/experts/alice/serve", new
        {
            entry = new { name = "hidden", @base = TinyFamily.Base, patches = new[] { new { patch = "alice" } }, operators_only = true },
        });
        Assert.Contains("hidden", await ModelsAsync());
        await AskAsync("hidden");

        Become(null);
        Assert.DoesNotContain("hidden", await ModelsAsync());
        await RefusedAsync(HttpStatusCode.NotFound, "model_not_found", "/v1/completions", new { model = "hidden", prompt = "a" });
    }

    /// <summary>Serves and retires one hundred patches while streams run on the same base, with and without patches.</summary>
    [Fact]
    public async Task Serve_HundredPatchesServedAndRetiredUnderLoad_NoAnswerFailsOrChanges()
    {
        await gateway.AnswerAsync("/v1/experts/alice/serve", new { name = "steady" });
        for (int seed = 0; seed < 10; seed++)
        {
            await gateway.UploadPatchAsync($"p{seed}", seed + 10);
        }

        string[] models = [TinyFamily.PlainAsServed, "steady", TinyFamily.Fused];
        Dictionary<string, string> expected = [];
        foreach (string model in models)
        {
            expected[model] = await AskAsync(model, 64);
        }

        string[] passing = [];
        using CancellationTokenSource end = new();
        Task<int>[] streams = [.. models.Select(async model =>
        {
            int answers = 0;
            for (; !end.IsCancellationRequested; answers++)
            {
                Assert.Equal(expected[model], await AskAsync(model, 64));
            }

            return answers;
        })];
        for (int i = 0; i < 100; i++)
        {
            string id = $"p{i % 10}", name = $"passing-{i}";
            await gateway.AnswerAsync($"/v1/experts/{id}/serve", new { name });
            Task<string> last = AskAsync(name, 16);
            passing = [.. passing, await AskAsync(name, 16)];
            await gateway.AnswerAsync($"/v1/experts/{id}/retire", new { });
            Assert.Equal(passing[i % 10], passing[i]);

            // A request is either admitted before the retirement or refused.
            await last.ContinueWith(_ => { }, TaskScheduler.Default);
        }

        await end.CancelAsync();
        Assert.All(await Task.WhenAll(streams), answers => Assert.True(answers > 0));
        Assert.Equal(10, passing.Distinct().Count());
    }

    private void Become(string? key) => gateway.Http.DefaultRequestHeaders.Authorization = key is null ? null : new("Bearer", key);

    private async Task<string[]> ModelsAsync()
    {
        using JsonDocument models = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v1/models"));
        return [.. models.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!)];
    }

    private async Task<string> AskAsync(string model, int tokens = 24)
    {
        JsonElement answer = await gateway.AnswerAsync("/v1/completions", new { model, prompt = new[] { 5, 9, 17 }, max_tokens = tokens, temperature = 0, ignore_eos = true });
        return answer.GetProperty("choices")[0].GetProperty("text").GetString()!;
    }

    private async Task<string> RefusedAsync(HttpStatusCode status, string code, string path, object body)
    {
        using HttpResponseMessage response = await gateway.PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, text);
        JsonElement error = JsonDocument.Parse(text).RootElement.GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        return error.GetProperty("message").GetString()!;
    }
}
