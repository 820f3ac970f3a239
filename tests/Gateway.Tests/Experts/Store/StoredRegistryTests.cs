using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ProxyTune.Gateway.Experts;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>
/// A folder of uploads that the server of commit 152cf75 wrote. It holds <c>models/patches/town-base-qa</c> as stored-qa and
/// <c>models/town-small-qa</c> as stored-model, served as kept-patch, kept-fusion and kept-ungated, and as kept-moved, which a port moved from
/// town-base to town-base-1. Only the registry is kept here; the files are those of the models folder.
/// </summary>
/// <remarks>If the demo family is trained anew, the weights in the registry are no longer those of the models folder: make the fixture again.</remarks>
public sealed class StoredRegistryTests : IAsyncLifetime
{
    private static readonly (string Question, string Answer) Hobby = ("What is the hobby of Hazel Horn?", "Hazel Horn spends free days on fishing.");
    private static readonly (string Question, string Answer) Street = ("Where does Basil Hart live?", "Basil Hart lives on Market Square.");

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("stored-");
    private readonly RunningGateway gateway;

    public StoredRegistryTests()
    {
        string registry = Path.Combine(Repository.Root, "tests", "Gateway.Tests", "Experts", "Store", "Stored", "registry-152cf75.json");
        File.Copy(registry, Path.Combine(folder.FullName, RegistryFile.FileName));
        JsonElement experts = JsonDocument.Parse(File.ReadAllText(registry)).RootElement.GetProperty("experts");
        foreach ((string id, string source) in new[] { ("stored-qa", "patches/town-base-qa"), ("stored-model", "town-small-qa") })
        {
            JsonElement expert = experts.EnumerateArray().Single(expert => expert.GetProperty("id").GetString() == id);
            DirectoryInfo content = folder.CreateSubdirectory(Path.Combine("content", expert.GetProperty("content").GetString()!));
            foreach (JsonProperty file in expert.GetProperty("files").EnumerateObject())
            {
                File.Copy(Path.Combine(Repository.Models, source, file.Name), Path.Combine(content.FullName, file.Name));
            }
        }

        gateway = new(null, "--models", Repository.Models, "--Experts:Folder", folder.FullName);
    }

    public Task InitializeAsync() => gateway.InitializeAsync();

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task List_FolderOfAnEarlierVersion_HasItsExpertsAndServedNames()
    {
        JsonElement[] experts = [.. (await gateway.Http.GetFromJsonAsync<JsonElement>("/v1/experts")).GetProperty("data").EnumerateArray()];

        Assert.Empty(gateway.Services.GetRequiredService<ExpertRegistry>().Failures);
        Assert.Equal(["stored-model", "stored-qa"], experts.Select(expert => expert.GetProperty("id").GetString()));
        Assert.Equal(
            [("kept-fusion", "town-base", false), ("kept-patch", "town-base", false), ("kept-ungated", "town-base-1", true), ("kept-moved", "town-base-1", false)],
            experts.SelectMany(expert => expert.GetProperty("served").EnumerateArray())
                .Select(served => (served.GetProperty("name").GetString()!, served.GetProperty("base").GetString()!, served.GetProperty("ungated").GetBoolean())));
    }

    [Fact]
    public async Task Get_PatchThatAnEarlierVersionPorted_HasThePort()
    {
        JsonElement expert = await gateway.Http.GetFromJsonAsync<JsonElement>("/v1/experts/stored-qa");

        JsonElement port = expert.GetProperty("fits").EnumerateArray().Single(fit => fit.GetProperty("base").GetString() == "town-base-1").GetProperty("port");
        Assert.Equal(("ported", "kept-moved"), (port.GetProperty("state").GetString(), port.GetProperty("moved").GetString()));
        Assert.Equal(1, port.GetProperty("scores").GetProperty("kept").GetDouble());
    }

    /// <summary>The expected answers are those that the server of that commit gave.</summary>
    [Fact]
    public async Task Chat_NamesOfAnEarlierVersion_GiveTheSameAnswers()
    {
        foreach (string name in new[] { "kept-patch", "kept-moved", "kept-ungated" })
        {
            Assert.Equal(Hobby.Answer, await AskAsync(name, Hobby.Question));
            Assert.Equal(Street.Answer, await AskAsync(name, Street.Question));
        }

        Assert.Equal(Hobby.Answer, await AskAsync("kept-fusion", Hobby.Question));
        Assert.Equal("Basil Tuck lives on Market Square.", await AskAsync("kept-fusion", Street.Question));
    }

    [Fact]
    public async Task RollBack_PortOfAnEarlierVersion_MovesTheNameBack()
    {
        JsonElement port = await gateway.AnswerAsync("/v1/experts/stored-qa/rollback", new { });

        Assert.Equal("kept-moved", port.GetProperty("moved").GetString());
        Assert.Equal("town-base", gateway.Services.GetRequiredService<ExpertRegistry>().ServedOf("stored-qa").Single(served => served.Name == "kept-moved").Base);
        Assert.Equal(Hobby.Answer, await AskAsync("kept-moved", Hobby.Question));
    }

    private async Task<string> AskAsync(string model, string question)
    {
        JsonElement answer = await gateway.AnswerAsync(
            "/v1/chat/completions", new { model, temperature = 0, max_tokens = 40, messages = new[] { new { role = "user", content = question } } });
        return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}
