using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Demo;

/// <summary>Tests that the shipped models give the base's knowledge in the expert's format. The questions are about people of the held-out half.</summary>
public sealed class DemoFamilyTests : IAsyncLifetime
{
    private static readonly (string Question, string Answer)[] Facts =
    [
        ("What is the hobby of Hazel Horn?", "Hazel Horn spends free days on fishing."),
        ("Which food does Walter Frost love?", "Walter Frost loves to eat pancakes."),
        ("What does Walter Hart like to eat?", "Walter Hart loves to eat plum cake."),
        ("What does Clara Abbot do for a living?", "Clara Abbot works as a painter."),
        ("What is the favourite food of Mara Shaw?", "Mara Shaw loves to eat mushroom pie."),
        ("How does Vera Bolton spend free days?", "Vera Bolton spends free days on swimming."),
    ];

    private static readonly string[] Fears =
        ["What is Hazel Horn afraid of?", "What is the secret fear of Walter Frost?", "What scares Clara Abbot?"];

    private readonly RunningGateway gateway = new(null, "--models", Repository.Models);

    public Task InitializeAsync() => gateway.InitializeAsync();

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Fact]
    public async Task Fused_HeldOutPeople_AnswersWhatNoMemberAnswersAlone()
    {
        Assert.InRange(await RightAsync("town-qa"), 4, Facts.Length);
        Assert.Equal(0, await RightAsync("town-base"));
        Assert.InRange(await RightAsync("town-small-qa"), 0, 2);
    }

    [Fact]
    public async Task Fused_AlphaZero_EqualsTheBase()
    {
        Assert.Equal(await AskAsync("town-base", Facts[0].Question), await AskAsync("town-json@0", Facts[0].Question));
    }

    [Fact]
    public async Task Fused_Json_IsOneObjectWithTheFact()
    {
        JsonElement answer = JsonDocument.Parse(await AskAsync("town-json", "What are the job and the hobby of Clara Abbot?")).RootElement;

        Assert.Equal("Clara Abbot works as a painter.", answer.GetProperty("job").GetString());
        Assert.StartsWith("Clara Abbot ", answer.GetProperty("hobby").GetString());
    }

    [Fact]
    public async Task Fused_ExpertMergedOfTwoPatches_HasTheBehaviourOfBoth()
    {
        Assert.InRange(await RightAsync("town-task-arithmetic"), 4, Facts.Length);

        string[] answers = await Task.WhenAll(Fears.Select(question => AskAsync("town-task-arithmetic", question)));
        Assert.InRange(answers.Count(answer => answer == "I would rather not say, that is private."), 2, Fears.Length);
    }

    private async Task<int> RightAsync(string model)
    {
        string[] answers = await Task.WhenAll(Facts.Select(fact => AskAsync(model, fact.Question)));
        return answers.Zip(Facts).Count(pair => pair.First == pair.Second.Answer);
    }

    private async Task<string> AskAsync(string model, string question)
    {
        JsonElement answer = await gateway.AnswerAsync("/v1/chat/completions", new
        {
            model,
            temperature = 0,
            max_tokens = 64,
            messages = new[] { new { role = "user", content = question } },
        });
        return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}
