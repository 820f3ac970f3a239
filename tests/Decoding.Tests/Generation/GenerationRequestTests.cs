using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>What is refused before it runs, and what it is told.</summary>
public sealed class GenerationRequestTests : IDisposable
{
    private readonly FakeLanguageModel model = new("m", vocabularySize: 32, contextLength: 8);
    private readonly FakeLanguageModel remote = new("far", contextLength: 8) { Expect = _ => Task.CompletedTask };

    public void Dispose()
    {
        model.Dispose();
        remote.Dispose();
    }

    [Fact]
    public void Check_MaxTokensBelowTheLeast_TellsTheLeast()
    {
        GenerationRequest request = Answers.Greedy(model, [1, 2], 0);
        AssertRefused(request, EngineError.InvalidValue, "max_tokens", "max_tokens is 0; it must be at least 1.");
        AssertRefused(request with { ScorePrompt = true, MaxTokens = -1 }, EngineError.InvalidValue, "max_tokens", "max_tokens is -1; it must be at least 0.");
        (request with { ScorePrompt = true }).Check(model);
        (request with { MaxTokens = 1 }).Check(model);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(21)]
    public void Check_TopLogprobsOutOfRange_TellsTheRange(int count) => AssertRefused(
        Answers.Greedy(model, [1], 1) with { TopLogprobs = count },
        EngineError.InvalidValue,
        "top_logprobs",
        $"top_logprobs is {count}; it must be from 0 to 20.");

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    public void Check_TopLogprobsAtTheirBounds_ArePassed(int count) => (Answers.Greedy(model, [1], 1) with { TopLogprobs = count }).Check(model);

    [Fact]
    public void Check_SamplingOutOfRange_NamesItsField() => Assert.Equal(
        "logit_bias",
        Assert.Throws<EngineException>(() => (Answers.Greedy(model, [1], 1) with { Sampling = new() { LogitBias = new Dictionary<int, float> { [32] = 1 } } }).Check(model)).Field);

    [Fact]
    public void Check_PromptIsEmpty_SaysSo() =>
        AssertRefused(Answers.Greedy(model, [], 1), EngineError.InvalidValue, "prompt", "The prompt is empty; it must have at least 1 token.");

    [Fact]
    public void Check_PromptFillsTheContext_TellsLengthAndLimit()
    {
        AssertRefused(
            Answers.Greedy(model, new int[8], 1), EngineError.PromptTooLong, "prompt", "The prompt has 8 tokens for 'm', whose context of 8 tokens must also hold the answer.");
        Answers.Greedy(model, new int[7], 1).Check(model);

        // A prompt that is scored and nothing more needs no room behind it.
        GenerationRequest scored = Answers.Greedy(model, new int[8], 0) with { ScorePrompt = true };
        scored.Check(model);
        AssertRefused(
            scored with { Prompt = Prompt.For(model, new int[9]) }, EngineError.PromptTooLong, "prompt", "The prompt has 9 tokens for 'm', whose context of 8 tokens is shorter.");
    }

    [Fact]
    public void Check_ScoredPromptIsReadInTwoForms_IsRefused()
    {
        FusionPlan plan = new([new(model, StreamRole.Base, 1), new(model, StreamRole.AntiExpert, -0.5f)]);
        GenerationRequest request = Answers.Greedy(model, [1], 1) with { Prompt = new(plan, [new[] { 1, 2 }, new[] { 1, 3 }]) };
        request.Check(model);
        AssertRefused(
            request with { ScorePrompt = true }, EngineError.InvalidValue, "echo", "The prompt cannot be scored: the models of this answer read it in different forms.");
        (request with { ScorePrompt = true, Prompt = new(plan, [new[] { 1, 2 }, new[] { 1, 2 }]) }).Check(model);
    }

    [Fact]
    public void Check_ScoredPromptOfARemoteModel_IsRefused()
    {
        GenerationRequest request = Answers.Greedy(remote, [1], 1);
        request.Check(remote);
        AssertRefused(
            request with { ScorePrompt = true }, EngineError.InvalidValue, "echo", "The prompt cannot be scored: a model behind a network tells only what comes next.");
    }

    [Fact]
    public void Start_ScoredPrompt_BeginsBehindItsFirstTokenWithRoomForTheRest()
    {
        GenerationRequest request = Answers.Greedy(model, [5, 6, 7], 4);
        Assert.Equal([5, 6, 7], request.Start.Streams[0].ToArray());
        Assert.Equal(4, request.Start.MaxAppended);
        Prompt scored = (request with { ScorePrompt = true }).Start;
        Assert.Equal([5], scored.Streams[0].ToArray());
        Assert.Equal(6, scored.MaxAppended);
        Assert.Equal(int.MaxValue, (request with { ScorePrompt = true, MaxTokens = int.MaxValue }).Start.MaxAppended);
    }

    private static void AssertRefused(GenerationRequest request, EngineError error, string field, string message)
    {
        EngineException e = Assert.Throws<EngineException>(() => request.Check(request.Prompt.Plan.Streams[0].Model));
        Assert.Equal((error, field, message), (e.Error, e.Field, e.Message));
    }
}
