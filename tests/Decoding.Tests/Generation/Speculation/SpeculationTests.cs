using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Fusion;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Checks that speculation changes no token, log-probability or trace.</summary>
public sealed class SpeculationTests
{
    /// <summary>Requests that each use another part of the sampling chain.</summary>
    private static readonly SamplingOptions[] Chains =
    [
        new() { Temperature = 0 },
        new() { Temperature = 1, Seed = 3 },
        new() { Temperature = 0.7f, TopP = 0.8f, Seed = 4 },
        new() { Temperature = 1.3f, TopK = 5, MinP = 0.02f, Seed = 5 },
        new() { Temperature = 0, RepetitionPenalty = 1.6f, LogitBias = new Dictionary<int, float> { [3] = 9, [300] = 2, [1] = -100 } },
        new() { Temperature = 1, FrequencyPenalty = 1.5f, PresencePenalty = 1, Seed = 6, LogitBias = new Dictionary<int, float> { [17] = 6 } },
    ];

    public static TheoryData<string> Masks => [.. FusionCases.Masks.Keys];

    [Theory]
    [MemberData(nameof(Masks))]
    public async Task Submit_EveryMethodMaskAndSchedule_GivesTheTokensLogprobsAndTracesOfPlainDecoding(string mask)
    {
        (List<string> plain, DraftStatistics off) = await RunAsync(mask, maxDraft: 0);
        (List<string> drafted, DraftStatistics on) = await RunAsync(mask, maxDraft: 4);

        Assert.Equal(plain, drafted);
        Assert.Equal((0L, off.Blocks), (off.Drafted, off.Tokens));
        Assert.Equal(off.Tokens, on.Tokens);
        Assert.InRange(on.Acceptance, 0.02, 0.9);
        Assert.True(on.TokensPerPass > 1);
    }

    [Fact]
    public async Task Submit_EndOfTextMaxTokensAndContext_EndLikePlainDecoding()
    {
        // Every 16th token ends the text, and the shortest context is soon full.
        using FakeFamily family = new() { Ends = [.. Enumerable.Range(0, 16).Select(i => i * 16)] };
        List<List<string>> texts = [];
        foreach (int maxDraft in new[] { 0, 1, 3, 7 })
        {
            await using DecodeScheduler scheduler = new(family.Ensemble, new() { MaxDraft = maxDraft, AlwaysDraft = true });
            List<string> written = [];
            for (int i = 0; i < 60; i++)
            {
                FusionPlan plan = family.Pairs.Plan(FusionCases.Methods[2], CallerRole.Operator).LoadPatches();
                GenerationRequest request = new()
                {
                    Prompt = FakeFamily.PromptOf(plan),
                    Sampling = new() { Temperature = i % 2, Seed = (ulong)i },
                    MaxTokens = i % 3 == 0 ? int.MaxValue : 1 + (i % 9),
                    IgnoreEndOfText = i % 4 == 0,
                };
                written.Add(WholeAnswer.Of(await Answers.Collect(scheduler, request)));
            }

            texts.Add(written);
        }

        Assert.All(texts, text => Assert.Equal(texts[0], text));
        Assert.Equal(["Length", "Stop"], texts[0].Select(text => text.Contains("Stop", StringComparison.Ordinal) ? "Stop" : "Length").Distinct().Order());
    }

    [Fact]
    public async Task Submit_SeveralAtOnce_DraftTogetherAndGiveTheTextsOfOneAlone()
    {
        using FakeFamily family = new();
        GenerationRequest[] requests = [.. FusionCases.Methods.Select((method, i) => Request(family.Pairs, method, i))];
        List<string> alone = [], together;
        await using (DecodeScheduler plain = new(family.Ensemble, new() { MaxDraft = 0 }))
        {
            foreach (GenerationRequest request in requests)
            {
                alone.Add(WholeAnswer.Of(await Answers.Collect(plain, request)));
            }
        }

        await using (DecodeScheduler drafting = new(family.Ensemble, new() { MaxRunning = 5, MaxDraft = 3, AlwaysDraft = true }))
        {
            together = [.. (await Task.WhenAll(requests.Select(request => Answers.Collect(drafting, request)))).Select(WholeAnswer.Of)];
            Assert.True((await Answers.Drafts(drafting)).Drafted > 0);
        }

        Assert.Equal(alone, together);
    }

    [Fact]
    public async Task Submit_ScoredPrompt_IsScoredThenDrafted()
    {
        using FakeFamily family = new();
        FusionPlan plan = family.Pairs.Plan(FusionCases.Methods[1], CallerRole.Operator).LoadPatches();
        int[] text = [1, 2, 3, 4, 5, 6, 7];
        GenerationRequest request = new()
        {
            Prompt = new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)text)]),
            Sampling = Chains[0],
            MaxTokens = 12,
            TopLogprobs = 2,
            ScorePrompt = true,
        };
        List<string> texts = [];
        foreach (int maxDraft in new[] { 0, 4 })
        {
            await using DecodeScheduler scheduler = new(family.Ensemble, new() { MaxDraft = maxDraft, AlwaysDraft = true, PromptTokensPerStep = 4 });
            texts.Add(WholeAnswer.Of(await Answers.Collect(scheduler, request)));
            Assert.Equal(maxDraft > 0, (await Answers.Drafts(scheduler)).Drafted > 0);
        }

        Assert.Equal(texts[0], texts[1]);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("contrastive")]
    [InlineData("context_aware")]
    public async Task Submit_NoExpertBesidesTheBase_DraftsNothing(string method)
    {
        using FakeFamily family = new();
        await using DecodeScheduler scheduler = new(family.Ensemble, new() { AlwaysDraft = true });
        await Answers.Collect(scheduler, Request(family.Pairs, FusionCases.Methods.First(settings => settings.Method == method), 0));
        Assert.Equal((0L, 14L), ((await Answers.Drafts(scheduler)).Drafted, (await Answers.Drafts(scheduler)).Blocks));
    }

    private static GenerationRequest Request(ServedModel served, AskedFusion settings, int i) => new()
    {
        Prompt = FakeFamily.PromptOf(served.Plan(settings with { Trace = i % 3 != 2 }, CallerRole.Operator).LoadPatches()),
        Sampling = Chains[i % Chains.Length],
        MaxTokens = 14,
        TopLogprobs = i % 4 == 3 ? null : 3,
    };

    private static async Task<(List<string> Texts, DraftStatistics Statistics)> RunAsync(string mask, int maxDraft)
    {
        using FakeFamily family = new();
        await using DecodeScheduler scheduler = new(family.Ensemble, new() { MaxDraft = maxDraft, AlwaysDraft = true });
        List<string> texts = [];
        foreach ((ServedModel served, AskedFusion settings) in Cases(family, mask))
        {
            // The cases are mixed so that methods and schedules meet different sampling chains.
            texts.Add(WholeAnswer.Of(await Answers.Collect(scheduler, Request(served, settings, texts.Count + (texts.Count / Chains.Length)))));
        }

        return (texts, await Answers.Drafts(scheduler));
    }

    private static IEnumerable<(ServedModel Served, AskedFusion Settings)> Cases(FakeFamily family, string mask) =>
        from served in new (ServedModel Model, IReadOnlyList<AskedFusion> Methods)[] { (family.Pairs, FusionCases.Methods), (family.Rewards, FusionCases.Rewards), (family.DownScaling, FusionCases.DownScaling) }
        from method in served.Methods
        from schedule in FusionCases.Schedules
        where FusionCases.Fits(method, FusionCases.Masks[mask])
        select (served.Model, method with { Mask = FusionCases.Masks[mask], Schedule = schedule });
}
