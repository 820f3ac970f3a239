using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Gateway.Experts;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>Tests POST /v1/experts/{id}/port: the trainer's evaluation runs as a process and scores a patch on a running server.</summary>
public sealed class PortingTests : IAsyncLifetime
{
    private const string Key = "an operator's key";
    private const string Near = "near", Far = "far", Wide = "wide";
    private const int Questions = 12;

    private readonly string trainer = Path.Combine(AppContext.BaseDirectory.Replace("Trainer.Tests", "Trainer", StringComparison.Ordinal), Path.GetFileName(typeof(Sft).Assembly.Location));
    private readonly string folder = Tiny.NewFolder();
    private readonly RunningGateway gateway;

    public PortingTests() => gateway = new(null, "--Operator:Key", Key, "--Gate:Trainer", trainer);

    public async Task InitializeAsync()
    {
        // The same base after further training.
        string news = Path.Combine(folder, "news");
        TinyPatch.Write(news, gateway.Family.PathOf(TinyFamily.Base), 99, TinyPatch.Modules);
        CheckpointExporter.Export(gateway.Family.PathOf(TinyFamily.Base), gateway.Family.PathOf(Near), [new WeightedPatch(LowRankPatch.Read(news), 1e-4)]);
        gateway.Family.WriteModel(Far, seed: 7);
        TinyModel.Write(Directory.CreateDirectory(gateway.Family.PathOf(Wide)).FullName, new() { Hidden = 48, Context = TinyFamily.ContextLength });
        await gateway.InitializeAsync();
        gateway.Http.DefaultRequestHeaders.Authorization = new("Bearer", Key);
        await gateway.UploadPatchAsync("alice", seed: 1);
        await gateway.AnswerAsync("/v1/experts/alice/serve", new { });
    }

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Port_ToAFurtherTrainedBase_PassesMovesTheNameAndRollsBack()
    {
        string task = await TaskAsync();
        string before = await FingerprintAsync();

        JsonElement port = await PortAsync(Near, task, ("name", "alice"));

        Assert.Equal(("ported", "alice"), (port.GetProperty("state").GetString(), port.GetProperty("moved").GetString()));
        JsonElement scores = port.GetProperty("scores");
        Assert.Equal(Questions, Right(scores, "donor"));
        Assert.InRange(Right(scores, "unpatched"), 0, 2);
        Assert.InRange(Right(scores, "ported"), (int)Math.Ceiling(0.9 * Questions), Questions);
        JsonElement change = port.GetProperty("diagnostics").GetProperty("total").GetProperty("change");
        Assert.InRange(change.GetProperty("relative").GetDouble(), 1e-6, 0.01);
        Assert.NotEqual(before, await FingerprintAsync());
        Assert.Equal(Near, gateway.Services.GetRequiredService<ExpertRegistry>().ServedOf("alice").Single().Base);

        using (JsonDocument shown = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v1/experts/alice")))
        {
            JsonElement fit = shown.RootElement.GetProperty("fits").EnumerateArray().Single(fit => fit.GetProperty("base").GetString() == Near);
            Assert.Equal(("ported", true), (fit.GetProperty("state").GetString(), fit.GetProperty("may_serve").GetBoolean()));
            Assert.Equal(Questions, Right(fit.GetProperty("port").GetProperty("scores"), "donor"));
            Assert.False(shown.RootElement.GetProperty("checking").GetBoolean());
        }

        await gateway.AnswerAsync("/v1/experts/alice/rollback", new { });
        Assert.Equal(before, await FingerprintAsync());

        // The models served for the evaluation are retired.
        Assert.DoesNotContain("evaluation/", await gateway.Http.GetStringAsync("/v1/models"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Port_ToAnotherBase_IsRefusedByTheScoresAndNotServedThere()
    {
        JsonElement port = await PortAsync(Far, await TaskAsync());

        Assert.Equal("refused", port.GetProperty("state").GetString());
        Assert.True(Right(port.GetProperty("scores"), "ported") < 0.9 * Questions);
        using HttpResponseMessage served = await gateway.PostAsync("/v1/experts/alice/serve", new { @base = Far, name = "elsewhere" });
        Assert.Equal(HttpStatusCode.BadRequest, served.StatusCode);
        Assert.Contains("of the gain is kept", await served.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Port_PatchThatDoesNotFit_IsRefusedBeforeTheEvaluation()
    {
        JsonElement port = await PortAsync(Wide, Path.Combine(folder, Tiny.SaveExamples(folder, TownData.Examples("town:polite/test").Take(1))));

        Assert.Equal("refused", port.GetProperty("state").GetString());
        Assert.Contains("[64, 48]", port.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.False(port.TryGetProperty("scores", out _));
    }

    /// <summary>Checks that a task without right answers refuses the port, because it says nothing about the patch.</summary>
    [Fact]
    public async Task Port_TaskThatTheDonorDoesNotSolve_IsRefused()
    {
        string task = Path.Combine(folder, "nobody.jsonl");
        await File.WriteAllTextAsync(task, Example("user"));
        JsonElement port = await PortAsync(Near, task);

        Assert.Equal("refused", port.GetProperty("state").GetString());
        Assert.Contains("does not show", port.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", null, HttpStatusCode.BadRequest, "task, line 1, is not an example")]
    [InlineData("", null, HttpStatusCode.BadRequest, "The file task is missing or empty")]
    [InlineData("a role that the trainer refuses", null, HttpStatusCode.BadGateway, "role 'tool'")]
    [InlineData("fine", "nobody", HttpStatusCode.NotFound, "not served as 'nobody'")]
    public async Task Port_InvalidRequest_IsRefusedAndLeavesNothing(string what, string? name, HttpStatusCode status, string words)
    {
        string task = Path.Combine(folder, "none.jsonl");
        await File.WriteAllTextAsync(task, what.StartsWith('a') ? Example("tool") : what == "fine" ? Example("user") : what);
        using HttpResponseMessage response = await SendAsync(Near, task, name is null ? [] : [("name", name)]);

        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, text);
        Assert.Contains(words, JsonDocument.Parse(text).RootElement.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("evaluation/", await gateway.Http.GetStringAsync("/v1/models"), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(gateway.Family.PathOf("experts", "staging")));
    }

    private static string Example(string role) => $$"""{"messages":[{"role":"{{role}}","content":"a"}],"answer":"never said by anybody"}""" + "\n";

    private static int Right(JsonElement scores, string model) => scores.GetProperty(model).GetProperty("right").GetInt32();

    /// <summary>Questions with the answers of the patch on the base that it was trained on.</summary>
    private async Task<string> TaskAsync()
    {
        List<Example> examples = [];
        foreach (string? text in Enumerable.Range(0, Questions).Select(i => new string((char)('a' + i), i + 1)))
        {
            JsonElement answer = await gateway.AnswerAsync("/v1/chat/completions", new { model = "alice", temperature = 0, max_tokens = 64, messages = new[] { new { role = "user", content = text } } });
            examples.Add(new Example([new("user", text)], answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!.Trim()));
        }

        return Tiny.SaveExamples(folder, examples);
    }

    private async Task<string> FingerprintAsync()
    {
        using JsonDocument model = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v1/models/alice"));
        return model.RootElement.GetProperty("system_fingerprint").GetString()!;
    }

    private async Task<JsonElement> PortAsync(string folder, string task, params (string Field, string Value)[] more)
    {
        using HttpResponseMessage response = await SendAsync(folder, task, more);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }

    private async Task<HttpResponseMessage> SendAsync(string folder, string task, params (string Field, string Value)[] more)
    {
        using MultipartFormDataContent form = new()
        {
            { new StringContent(folder), "base" },
            { new StringContent("true"), "wait" },
            { new StreamContent(File.OpenRead(task)), "task", "task.jsonl" },
        };
        foreach ((string? field, string? value) in more)
        {
            form.Add(new StringContent(value), field);
        }

        return await gateway.Http.PostAsync("/v1/experts/alice/port", form);
    }
}
