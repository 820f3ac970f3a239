using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Tests speculation over the graphs of models/.</summary>
public sealed class SpeculatedFamilyTests
{
    private static readonly string[] Names = ["Hazel Horn", "Ada Birch", "Omar Lund"];

    /// <summary>Served models with experts that are models, a patch in one pass with its anti-expert, several with weights per token, and a reward.</summary>
    [Theory]
    [InlineData("town-qa", 1.5)]
    [InlineData("town-task-arithmetic", 1.5)]
    [InlineData("town-together", 1)]
    [InlineData("town-reward", 1)]
    public async Task Submit_DemoModel_GivesTheTextOfPlainDecodingWithFewerPassesOfItsBase(string served, double leastTokensPerPass)
    {
        using ModelHost catalog = ModelHost.Load(Repository.Models, new());
        GenerationRequest[] requests = [.. Names.SelectMany(name => new[] { Request(catalog.Get(served), name, 0), Request(catalog.Get(served), name, 1) })];
        List<string> plain, drafted, together;
        await using (DecodeScheduler scheduler = new(catalog.Ensemble, new() { MaxDraft = 0 }))
        {
            plain = await InTurn(scheduler, requests);
        }

        await using (DecodeScheduler scheduler = new(catalog.Ensemble, new() { MaxDraft = 4, AlwaysDraft = true }))
        {
            drafted = await InTurn(scheduler, requests);
            DraftStatistics statistics = await Answers.Drafts(scheduler);
            Assert.True(statistics.TokensPerPass >= leastTokensPerPass, $"{statistics}");
            together = [.. (await Task.WhenAll(requests.Select(request => Answers.Collect(scheduler, request)))).Select(Ids)];
        }

        Assert.Equal(plain, drafted);
        Assert.Equal(plain, together);
    }

    private static GenerationRequest Request(ServedModel served, string name, float temperature) => new()
    {
        Prompt = served.Plan(AskedFusion.Nothing).Render([new("user", $"What is the hobby of {name}?")]),
        Sampling = new() { Temperature = temperature, Seed = 7 },
        MaxTokens = 40,
    };

    private static async Task<List<string>> InTurn(DecodeScheduler scheduler, GenerationRequest[] requests)
    {
        List<string> texts = [];
        foreach (GenerationRequest request in requests)
        {
            texts.Add(Ids(await Answers.Collect(scheduler, request)));
        }

        return texts;
    }

    // Logits of blocks and of single positions differ by rounding, so the test compares ids.
    private static string Ids(IEnumerable<GeneratedToken> tokens) => string.Join(' ', tokens.Select(token => token.Id));
}
