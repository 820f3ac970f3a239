using Microsoft.Extensions.Time.Testing;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Tests wrong drafts and models that fail.</summary>
public sealed class SpeculationFailureTests : IDisposable
{
    private const int Right = 1;
    private const int Wrong = 2;

    private readonly FakeLanguageModel large = Sure("large", Right);
    private readonly FakeLanguageModel wrong = Sure("wrong", Wrong);
    private readonly FakeLanguageModel right = Sure("right", Right);
    private readonly FakeLanguageModel small;
    private readonly FusedModel fused;
    private bool spoils;

    public SpeculationFailureTests()
    {
        // Rows are NaN after tokens that plain decoding never appends.
        small = new("small", contextLength: 1000) { Rows = (tokens, row) => row.Fill(spoils && tokens.Contains(Wrong) ? float.NaN : 0) };
        fused = new("town", [large, wrong, right, small]);
    }

    public void Dispose() => fused.Dispose();

    [Fact]
    public async Task Submit_EveryDraftTokenIsRejected_RunsTheBaseOncePerTokenAndIgnoresRowsAfterRejectedTokens()
    {
        spoils = true;
        await using DecodeScheduler scheduler = new(fused, new() { MaxDraft = 3, AlwaysDraft = true });
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Request(wrong));
        Assert.Equal(Enumerable.Repeat(Right, 10), tokens.Select(token => token.Id));
        Assert.Equal((10, 10), (large.Forwards, small.Forwards));
        Assert.Equal(0, (await Answers.Drafts(scheduler)).Acceptance);
        Assert.Equal(1, (await Answers.Drafts(scheduler)).TokensPerPass);
    }

    [Fact]
    public async Task Submit_NoDraftTokenIsAccepted_RunsTheExpertLittleMoreThanOncePerToken()
    {
        const int Learned = 300, All = 700;
        int before = 0;
        FakeTimeProvider clock = new();
        large.OnForward = _ =>
        {
            before = large.Forwards == Learned ? wrong.Forwards : before;
            clock.Advance(TimeSpan.FromMilliseconds(1));
        };
        wrong.OnForward = _ => clock.Advance(TimeSpan.FromMilliseconds(0.1));
        await using DecodeScheduler scheduler = new(fused, new() { Clock = clock });
        Assert.Equal(All, (await Answers.Collect(scheduler, Request(wrong) with { MaxTokens = All })).Count);
        Assert.Equal(All, large.Forwards);
        Assert.True((await Answers.Drafts(scheduler)).Drafted > 0);
        Assert.InRange(wrong.Forwards - before, All - Learned, All - Learned + ((All - Learned) / DraftPolicy.ProbeEvery) + 1);
    }

    [Fact]
    public async Task Submit_EveryDraftTokenIsAccepted_RunsTheBaseOncePerBlockAndTheExpertOncePerToken()
    {
        await using DecodeScheduler scheduler = new(fused, new() { MaxDraft = 2, AlwaysDraft = true });
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Request(right));
        Assert.Equal(10, tokens.Count);

        // One pass for the prompt, then three blocks of three.
        Assert.Equal((4, 4, 10), (large.Forwards, small.Forwards, right.Forwards));
        Assert.Equal(new(4, 10, 6, 6), (await Answers.Drafts(scheduler)));
    }

    [Fact]
    public async Task Submit_ExpertBansEveryToken_DraftsNothingAndTheBaseAnswers()
    {
        using FakeLanguageModel mute = new("mute", contextLength: 1000) { Rows = (_, row) => row.Fill(float.NegativeInfinity) };
        fused.Add(mute);
        await using DecodeScheduler scheduler = new(fused, new() { MaxDraft = 3, AlwaysDraft = true });
        GenerationRequest request = Request(mute);

        // The expert has no weight during the warm-up, so what it bans does not count.
        List<GeneratedToken> tokens = await Answers.Collect(
            scheduler, request with { Prompt = request.Prompt with { Plan = FusionPlan.Of(request.Prompt) with { Schedule = new(ScheduleKind.WarmUp, Tokens: 100) } } });

        Assert.Equal(Enumerable.Repeat(Right, 10), tokens.Select(token => token.Id));
        Assert.Equal(0, (await Answers.Drafts(scheduler)).Drafted);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Submit_MemberThrowsWhileItDraftsOrVerifies_FailsOnlyItsRequests(bool drafts)
    {
        (drafts ? right : small).OnForward = batch =>
        {
            if (batch.Any(segment => segment.Sequence.Length >= 5))
            {
                throw new InvalidOperationException("out of order");
            }
        };
        await using DecodeScheduler scheduler = new(fused, new() { MaxDraft = 3, AlwaysDraft = true });
        Task<List<GeneratedToken>> failing = Answers.Collect(scheduler, Request(right));
        Task<List<GeneratedToken>> other = Answers.Collect(scheduler, Answers.Greedy(large, [5, 6], 12));
        EngineException failure = await Assert.ThrowsAsync<EngineException>(() => failing);
        Assert.Contains(drafts ? "'right'" : "'small'", failure.Message, StringComparison.Ordinal);
        Assert.Equal(12, (await other).Count);
        (right.OnForward, small.OnForward) = (null, null);
        Assert.Equal(10, (await Answers.Collect(scheduler, Request(right))).Count);
        await NothingLives();
    }

    [Fact]
    public async Task Dispose_WhileTheExpertDrafts_FreesEverySequence()
    {
        await using DecodeScheduler scheduler = new(fused, new() { MaxDraft = 3, AlwaysDraft = true });
        GenerationStream? generation = null;
        using ManualResetEventSlim submitted = new();
        right.OnForward = batch =>
        {
            submitted.Wait();
            if (batch[0].Sequence.Length >= 4)
            {
                generation!.Dispose();
            }
        };
        generation = scheduler.Submit(Request(right));
        submitted.Set();
        Assert.True((await Answers.Collect(generation)).Count < 10);
        await NothingLives();
    }

    private static FakeLanguageModel Sure(string name, int token) => new(name, contextLength: 1000) { Rows = (_, row) => { row.Clear(); row[token] = 9; } };

    private GenerationRequest Request(ILanguageModel expert)
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(expert, StreamRole.Expert), new(small, StreamRole.AntiExpert)])
        {
            Deltas = [new("expert", 1, 2, 0.5f)],
        };
        return new() { Prompt = new(plan, [new[] { 3, 4 }, new[] { 3 }, new[] { 3 }]), Sampling = new() { Temperature = 0 }, MaxTokens = 10 };
    }

    private async Task NothingLives()
    {
        for (int wait = 0; wait < 200 && Live() > 0; wait++)
        {
            await Task.Delay(10);
        }

        Assert.Equal(0, Live());

        int Live() => large.LiveSequences + wrong.LiveSequences + right.LiveSequences + small.LiveSequences;
    }
}
