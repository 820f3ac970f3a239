using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Fusion;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class PromptScoringTests
{
    private static readonly int[] Prompt = Rows.Random(5, 40, 200);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1024)]
    public async Task Submit_ScorePromptInAnyPieces_EqualsTheFormulaInPlainLoops(int promptTokensPerStep)
    {
        using TinyModel large = TinyModel.Create(new() { Hidden = 48, Layers = 3, Seed = 2 });
        using TinyModel tuned = TinyModel.Create(new() { Seed = 3 }), small = TinyModel.Create(new() { Seed = 4 });
        (TinyModel Folder, float Weight)[] members = [(large, 1), (tuned, 1.5f), (small, -1.5f)];
        ILanguageModel[] models = [.. members.Select(member => OnnxLanguageModel.Load(member.Folder.Folder, new()))];
        using FusedModel fused = new("town", models);
        await using DecodeScheduler scheduler = new(fused, new() { PromptTokensPerStep = promptTokensPerStep });
        FusionPlan plan = new([.. models.Zip(members, (model, member) => new FusionStream(model, StreamRole.Base, member.Weight))]);
        GenerationRequest request = new()
        {
            Prompt = new(plan, [Prompt, Prompt, Prompt]),
            Sampling = new() { Temperature = 0 },
            MaxTokens = 3,
            TopLogprobs = 2,
            ScorePrompt = true,
            IgnoreEndOfText = true,
        };

        List<GeneratedToken> tokens = await Answers.Collect(scheduler, request);

        Assert.Equal(Prompt, tokens.Where(token => token.OfPrompt).Select(token => token.Id));
        Assert.Equal(Prompt.Length + 3, tokens.Count);
        Assert.Null(tokens[0].Logprob);
        Assert.Empty(tokens[0].Top);
        float[][][] raw = [.. members.Select(member => RawDecoder.Logits(member.Folder.Folder, [.. tokens.Select(token => token.Id)]))];
        for (int i = 1; i < tokens.Count; i++)
        {
            double[] row = Sum(raw, members, i - 1);
            double normaliser = Math.Log(row.Sum(Math.Exp)), tolerance = 1e-5 * row.Max(Math.Abs);
            Assert.Equal(row[tokens[i].Id] - normaliser, tokens[i].Logprob!.Value, tolerance);
            Assert.Equal(row.Max() - normaliser, tokens[i].Top[0].Logprob, tolerance);
            Assert.Equal(2, tokens[i].Top.Count);
        }
    }

    [Fact]
    public async Task Submit_AnswerScoredAfterwards_HasTheLogprobsThatItWasGeneratedWith()
    {
        using FakeLanguageModel model = new("m");
        await using DecodeScheduler scheduler = new(model, new());
        GenerationRequest request = Answers.Greedy(model, [1, 2, 3], 20) with { TopLogprobs = 3 };
        List<GeneratedToken> answer = await Answers.Collect(scheduler, request);

        List<GeneratedToken> scored = await Answers.Collect(scheduler, Scoring(model, [1, 2, 3, .. answer.Select(token => token.Id)]) with { TopLogprobs = 3 });

        Assert.Equal(answer.Select(token => token.Logprob), scored.Skip(3).Select(token => token.Logprob));
        Assert.Equal(answer.SelectMany(token => token.Top), scored.Skip(3).SelectMany(token => token.Top));
        Assert.Equal(FinishReason.Length, scored[^1].Finish);
        Assert.All(scored.SkipLast(1), token => Assert.Null(token.Finish));
    }

    [Theory]
    [InlineData("warm_up")]
    [InlineData("linear")]
    [InlineData("dynamic")]
    [InlineData("rule")]
    public async Task Submit_ScorePrompt_WeightsOfTheAnswerAreThoseWithoutScoring(string kind)
    {
        using FakeFamily family = new();
        AskedFusion settings = new()
        {
            Method = kind == "dynamic" ? "dynamic" : "proxy",
            Experts = new Dictionary<string, double> { ["one"] = 1, ["two"] = 1 },
            Schedule = kind == "dynamic" ? null : new() { Kind = kind, Tokens = 4 },
            Trace = true,
        };
        FusionPlan plan = family.Pairs.Plan(kind == "rule" ? settings with { Schedule = null } : settings, CallerRole.Operator).LoadPatches();
        plan = kind == "rule" ? plan with { Rule = new CountingRule() } : plan;
        await using DecodeScheduler scheduler = new(family.Ensemble, new());
        GenerationRequest request = new()
        {
            Prompt = new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)new[] { 5, 6, 7, 8, 9, 10 })]),
            Sampling = new() { Temperature = 0 },
            MaxTokens = 8,
            TopLogprobs = 1,
        };

        List<GeneratedToken> plain = await Answers.Collect(scheduler, request);
        List<GeneratedToken> scored = await Answers.Collect(scheduler, request with { ScorePrompt = true });

        Assert.Equal(plain.Select(Weights), scored.Skip(6).Select(Weights));
        Assert.Equal(plain.SelectMany(token => Facts([token])), scored.Skip(6).SelectMany(token => Facts([token])));
        if (kind == "warm_up")
        {
            Assert.Equal([0, 0, 0, 0, 1], scored.Skip(1).Take(5).Select(token => token.Trace!.Weights["one"]));
        }

        static string Weights(GeneratedToken token) => string.Join(", ", token.Trace!.Weights);
    }

    [Fact]
    public async Task Submit_ScoringBesideRunningAnswers_NeitherChangesNorStallsThem()
    {
        using FakeLanguageModel model = new("m", contextLength: 200);
        GenerationRequest[] requests =
        [
            .. Enumerable.Range(0, 3).Select(i => Answers.Greedy(model, [i], 30) with { TopLogprobs = 1 }),
            .. Enumerable.Range(0, 3).Select(i => Scoring(model, Rows.Random(i, 100, 32)) with { MaxTokens = i }),
        ];
        List<List<GeneratedToken>> alone = [];
        await using (DecodeScheduler roomy = new(model, new()))
        {
            foreach (GenerationRequest request in requests)
            {
                alone.Add(await Answers.Collect(roomy, request));
            }
        }

        List<int> rows = [];
        using ManualResetEventSlim submitted = new();
        model.OnForward = batch =>
        {
            rows.Add(batch.Sum(segment => segment.Rows));
            submitted.Wait(TimeSpan.FromSeconds(20));
        };
        await using DecodeScheduler scheduler = new(model, new() { PromptTokensPerStep = 8 });
        Task<List<GeneratedToken>>[] running = [.. requests.Select(request => Answers.Collect(scheduler, request))];
        submitted.Set();
        List<GeneratedToken>[] together = await Task.WhenAll(running);

        Assert.Equal(alone.SelectMany(Facts), together.SelectMany(Facts));
        Assert.InRange(rows.Max(), 8, 8 + requests.Length);
        Assert.InRange(scheduler.Statistics.Steps, 300 / 8, (300 / 8) + 20);
        Assert.Equal((93, 303), (scheduler.Statistics.Tokens, scheduler.Statistics.PromptTokens));
    }

    [Fact]
    public async Task Submit_WideVocabulary_NeverHoldsPromptTimesVocabulary()
    {
        using FakeLanguageModel model = new("wide", 1 << 21) { Rows = (tokens, row) => row.Clear() };
        int most = 0;
        model.OnForward = batch => most = Math.Max(most, batch.Sum(segment => segment.Rows));
        await using DecodeScheduler scheduler = new(model, new());

        Assert.Equal(9, (await Answers.Collect(scheduler, Scoring(model, new int[9]))).Count);
        Assert.Equal(2, most);
    }

    [Theory]
    [InlineData(1, 0, 1, 0)]
    [InlineData(1, 2, 3, 2)]
    [InlineData(63, 5, 64, 1)]
    [InlineData(64, 0, 64, 1)]
    public async Task Submit_ShortestAndLongestPrompt_IsScored(int length, int maxTokens, int count, int forwards)
    {
        using FakeLanguageModel model = new("m");
        await using DecodeScheduler scheduler = new(model, new());

        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Scoring(model, new int[length]) with { MaxTokens = maxTokens });

        Assert.Equal((count, forwards), (tokens.Count, model.Forwards));
        Assert.Equal(FinishReason.Length, tokens[^1].Finish);
    }

    [Fact]
    public async Task Submit_ModelThrowsWhileScoring_FailsOnlyThatRequest()
    {
        using FakeLanguageModel model = new("m");
        await using DecodeScheduler scheduler = new(model, new() { PromptTokensPerStep = 4 });
        model.OnForward = _ => throw new InvalidOperationException("broken wire");
        await Assert.ThrowsAsync<EngineException>(() => Answers.Collect(scheduler, Scoring(model, new int[30])));
        model.OnForward = null;
        Assert.Equal(30, (await Answers.Collect(scheduler, Scoring(model, new int[30]))).Count);
    }

    [Fact]
    public async Task Submit_PromptThatCannotBeScored_NamesTheField()
    {
        using FakeLanguageModel large = new("large"), small = new("small");
        using FusedModel fused = new("town", [large, small]);
        await using DecodeScheduler scheduler = new(fused, new());
        GenerationRequest request = Scoring(large, [1, 2]);
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.Expert, 1)]);

        Refused("echo", EngineError.InvalidValue, request with { Prompt = new(plan, [(int[])[1, 2], (int[])[1, 3]]) });
        using FakeLanguageModel remote = new("remote") { Expect = _ => Task.CompletedTask };
        Refused("echo", EngineError.InvalidValue, Scoring(remote, [1, 2]));
        Refused("max_tokens", EngineError.InvalidValue, request with { ScorePrompt = false });
        Refused("max_tokens", EngineError.InvalidValue, request with { MaxTokens = -1 });
        Refused("prompt", EngineError.PromptTooLong, Scoring(large, new int[65]));
        Refused("prompt", EngineError.PromptTooLong, Scoring(large, new int[64]) with { MaxTokens = 1 });

        void Refused(string field, EngineError error, GenerationRequest refused)
        {
            EngineException e = Assert.Throws<EngineException>(() => scheduler.Submit(refused));
            Assert.Equal((field, error), (e.Field, e.Error));
        }
    }

    /// <summary>Counts the tokens from the first that has no previous factors.</summary>
    private sealed class CountingRule : IFusionRule
    {
        public bool Choose(in FusionStep step, Span<float> factors)
        {
            factors.Fill(step.Previous.IsEmpty ? 1 : step.Previous[0] + 1);
            return false;
        }
    }

    private static GenerationRequest Scoring(ILanguageModel model, int[] prompt) =>
        Answers.Greedy(model, prompt, 0) with { TopLogprobs = 1, ScorePrompt = true };

    private static IEnumerable<(int Id, float? Logprob, bool OfPrompt)> Facts(List<GeneratedToken> tokens) =>
        tokens.Select(token => (token.Id, token.Logprob, token.OfPrompt));

    private static double[] Sum(float[][][] raw, (TinyModel Folder, float Weight)[] members, int position)
    {
        double[] sum = new double[raw[0][position].Length];
        for (int k = 0; k < members.Length; k++)
        {
            for (int id = 0; id < sum.Length; id++)
            {
                sum[id] += members[k].Weight * (double)raw[k][position][id];
            }
        }

        return sum;
    }
}
