using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Generation;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class FusedModelTests : IDisposable
{
    private readonly FakeLanguageModel large = new("large", vocabularySize: 40, contextLength: 64, 3);
    private readonly FakeLanguageModel tuned = new("tuned", vocabularySize: 32, contextLength: 48, 3, 4);
    private readonly FakeLanguageModel small = new("small", vocabularySize: 36, contextLength: 48, 5);
    private readonly FusedModel fused;

    public FusedModelTests() => fused = new("town", [large, tuned, small]);

    public void Dispose() => fused.Dispose();

    [Fact]
    public void Forward_PromptsAndWeightsPerStream_EqualsPlainLoops()
    {
        int[][] prompts = [[1, 2, 3], [9, 1, 2], [9]];
        using Sequence sequence = fused.Start(Prompt([1, 0.7f, -0.7f], prompts));
        float[][] rows = Rows.Forward(fused, new Segment(sequence, new[] { 6, 7 }, 2));
        for (int row = 0; row < 2; row++)
        {
            int[] appended = [6, 7];
            int[][] texts = [.. prompts.Select(p => (int[])[.. p, .. appended[..(row + 1)]])];
            Rows.AssertEqual([Sum((large, 1, texts[0]), (tuned, 0.7f, texts[1]), (small, -0.7f, texts[2]))], [rows[row]], 1e-5f);
        }
    }

    [Theory]
    [InlineData(ScheduleKind.Constant, true)]
    [InlineData(ScheduleKind.Gated, false)]
    public void Explain_RuleIsSaturated_CountsUnlessTheGateIsShut(ScheduleKind schedule, bool saturated)
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(large, StreamRole.Expert)])
        {
            Deltas = [new("twin", 1, null, 1)],
            Rule = new Rule(),
            Schedule = new(schedule, Threshold: 1e-6f),
            Trace = true,
        };
        using Sequence sequence = fused.Start(new(plan, [new[] { 1, 2 }, new[] { 1, 2 }]));
        float[] row = Rows.Forward(fused, new Segment(sequence, default))[0];
        TokenTrace trace = sequence.Explain(0, 1, row, 3)!;
        Assert.Equal((saturated, !saturated), (trace.Saturated, trace.Gated is not null));
    }

    [Fact]
    public async Task Submit_RuleThrows_FailsItsRequestOnly()
    {
        GenerationRequest other = Answers.Greedy(large, [1, 2], 20);
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert)])
        {
            Deltas = [new("tuned", 1, null, 1)],
            Rule = new Rule(throwAt: 3),
        };
        List<GeneratedToken> alone = await AnswerAsync(other);
        await using DecodeScheduler scheduler = new(fused, new());
        Task<List<GeneratedToken>> beside = Answers.Collect(scheduler, other);

        EngineException error = await Assert.ThrowsAsync<EngineException>(
            () => Answers.Collect(scheduler, other with { Prompt = new(plan, [new[] { 1, 2 }, new[] { 1, 2 }]) }));

        Assert.Equal(EngineError.ModelFailure, error.Error);
        Assert.Equal(alone, await beside);
        Assert.Equal(20, (await Answers.Collect(scheduler, other)).Count);
        Assert.Equal((0, 0), (large.LiveSequences, tuned.LiveSequences));

        async Task<List<GeneratedToken>> AnswerAsync(GenerationRequest request)
        {
            await using DecodeScheduler own = new(fused, new());
            return await Answers.Collect(own, request);
        }
    }

    [Fact]
    public async Task Dispose_SeveralMembersThrow_EndsAllSequencesAndOtherAnswers()
    {
        foreach (FakeLanguageModel member in new[] { large, tuned, small })
        {
            member.OnDispose = tokens => _ = tokens[0] == 7 ? throw new InvalidOperationException($"{member.Info.Name} is broken") : 0;
        }

        Sequence sequence = fused.Start(Prompt([1, 0.7f, -0.7f], [7, 1], [7, 2], [7, 3]));
        Assert.Equal("large is broken", Assert.Throws<InvalidOperationException>(sequence.Dispose).Message);
        Assert.Equal((0, 0, 0), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));

        await using DecodeScheduler scheduler = new(fused, new());
        GenerationRequest request = Answers.Greedy(large, [1], 12) with { Prompt = Prompt([1, 0.7f, -0.7f], [1], [1], [1]), IgnoreEndOfText = true };
        Task<List<GeneratedToken>>[] answers =
        [
            .. Enumerable.Range(0, 6).Select(i => Answers.Collect(scheduler, i % 2 == 0 ? request : request with { Prompt = Prompt([1, 0.7f, -0.7f], [7], [7], [7]) })),
        ];
        await Task.WhenAll(answers.Where((_, i) => i % 2 == 0));
        Assert.All(answers.Where((_, i) => i % 2 == 0), answer => Assert.Equal(12, answer.Result.Count));
        await Task.WhenAny(Task.WhenAll(answers), Task.Delay(TimeSpan.FromSeconds(20)));
        Assert.All(answers, answer => Assert.True(answer.IsCompleted));
        await Answers.Drafts(scheduler);
        Assert.Equal((0, 0, 0), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));
    }

    [Fact]
    public void Forward_WeightZero_EqualsTheBaseAndRunsNoOtherModel()
    {
        float[] row = Row([1, 0, 0]);
        Rows.AssertEqual(Rows.Fresh(large, [1, 2]), [row], 0);
        Assert.Equal((0, 0), (tuned.Forwards, small.Forwards));
    }

    [Fact]
    public void Forward_ExpertIsItsAntiExpert_EqualsTheBase()
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.Expert, 1.3f), new(small, StreamRole.AntiExpert, -1.3f)]);
        using Sequence sequence = fused.Start(new(plan, [new[] { 1, 2 }, new[] { 1, 2 }, new[] { 1, 2 }]));
        Rows.AssertEqual(Rows.Fresh(large, [1, 2]), Rows.Forward(fused, new Segment(sequence, default)), 0);
    }

    [Fact]
    public void Forward_ExpertIsItsAntiExpertWithOtherPrompt_EqualsContextAwareDecoding()
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1.5f), new(large, StreamRole.AntiExpert, -0.5f)]);
        using Sequence sequence = fused.Start(new(plan, [new[] { 8, 1, 2 }, new[] { 1, 2 }]));
        Assert.Equal(2, large.LiveSequences);
        float[][] rows = Rows.Forward(fused, new Segment(sequence, default));
        Assert.Equal(1, large.Forwards);
        Rows.AssertEqual([Sum((large, 1.5f, [8, 1, 2]), (large, -0.5f, [1, 2]))], rows, 1e-5f);
    }

    [Fact]
    public void Forward_TwoExpertsOverOneAntiExpert_RunTheAntiExpertOnce()
    {
        FusionPlan plan = new(
        [
            new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert, 0.5f), new(small, StreamRole.AntiExpert, -0.5f),
            new(tuned, StreamRole.Expert, 0.25f), new(small, StreamRole.AntiExpert, -0.25f),
        ]);
        using Sequence sequence = fused.Start(new(plan, [.. Enumerable.Repeat<ReadOnlyMemory<int>>(new[] { 1, 2 }, 5)]));
        Assert.Equal((1, 1, 1), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));
        Rows.AssertEqual(
            [Sum((large, 1, [1, 2]), (tuned, 0.75f, [1, 2]), (small, -0.75f, [1, 2]))], Rows.Forward(fused, new Segment(sequence, default)), 1e-5f);
    }

    [Fact]
    public void Forward_SequencesWithOtherPlans_ShareOneRunPerMember()
    {
        Sequence[] sequences =
        [
            fused.Start(Prompt([1, 1, -1], [1, 2])), fused.Start(Prompt([1, 0, 0], [3])), fused.Start(Prompt([0, 2, 0], [4, 4, 4])),
            fused.Start(Prompt([1, -0.5f, 0.5f], [5])),
        ];
        float[][] rows = Rows.Forward(fused, [.. sequences.Select(s => new Segment(s, new[] { 7 }))]);
        Assert.Equal((1, 1, 1), (large.Forwards, tuned.Forwards, small.Forwards));
        Rows.AssertEqual(
            [
                Sum((large, 1, [1, 2, 7]), (tuned, 1, [1, 2, 7]), (small, -1, [1, 2, 7])),
                Sum((large, 1, [3, 7])),
                Sum((tuned, 2, [4, 4, 4, 7])),
                Sum((large, 1, [5, 7]), (tuned, -0.5f, [5, 7]), (small, 0.5f, [5, 7])),
            ],
            rows,
            1e-5f);
        Array.ForEach(sequences, s => s.Dispose());
        Assert.Equal((0, 0, 0), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));
    }

    [Fact]
    public void Start_NarrowerTokenizer_BansTheTokensBeyondIt()
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1)], VocabularySize: 30);
        using Sequence sequence = fused.Start(new(plan, [new[] { 1 }]));
        float[] row = Rows.Forward(fused, new Segment(sequence, default))[0];
        Assert.All(row[30..], s => Assert.Equal(float.NegativeInfinity, s));
        Assert.All(row[..30], s => Assert.True(float.IsFinite(s)));
    }

    [Fact]
    public void Sequence_RoomAndEndTokens_ComeFromItsStreams()
    {
        using Sequence sequence = fused.Start(Prompt([1, 1, 0], [1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8], [1]));
        Assert.Equal((3, 40), (sequence.Length, sequence.Room));
        Assert.Equal([3, 4], sequence.EndOfTextIds.Order());
    }

    [Fact]
    public void Rewind_ThenAppend_EqualsNeverAppended()
    {
        using Sequence sequence = fused.Start(Prompt([1, 1, -1], [1, 2], [9, 9, 1], [2]));
        Rows.Forward(fused, new Segment(sequence, new[] { 10, 11, 12 }));
        sequence.Rewind(2);
        using Sequence fresh = fused.Start(Prompt([1, 1, -1], [1, 2], [9, 9, 1], [2]));
        Rows.AssertEqual(Rows.Forward(fused, new Segment(fresh, new[] { 10, 5 })), Rows.Forward(fused, new Segment(sequence, new[] { 5 })), 0);
    }

    [Fact]
    public void Forward_MemberThrows_FailsItsSequencesOnly()
    {
        tuned.OnForward = _ => throw new InvalidOperationException("out of memory");
        using Sequence with = fused.Start(Prompt([1, 1, -1], [1, 2]));
        using Sequence without = fused.Start(Prompt([1, 0, 1], [1, 2]));
        float[][] rows = Rows.Forward(fused, new Segment(with, default), new Segment(without, default));
        Assert.Null(without.Fault);
        Rows.AssertEqual([Sum((large, 1, [1, 2]), (small, 1, [1, 2]))], [rows[1]], 1e-5f);
        Assert.Equal(EngineError.ModelFailure, with.Fault!.Error);
        Assert.Contains("'tuned'", with.Fault.Message, StringComparison.Ordinal);
        Assert.Contains("out of memory", with.Fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Forward_MemberGivesNaN_FailsThatSequenceAndNamesTheMember()
    {
        using FakeLanguageModel broken = new("broken", 40)
        {
            Rows = (tokens, row) => row.Fill(tokens[0] == 1 ? float.NaN : 1),
        };
        using FusedModel ensemble = new("e", [large, broken]);
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(broken, StreamRole.Expert, 1)]);
        using Sequence bad = ensemble.Start(new(plan, [new[] { 1 }, new[] { 1 }]));
        using Sequence good = ensemble.Start(new(plan, [new[] { 2 }, new[] { 2 }]));
        Rows.Forward(ensemble, new Segment(bad, default), new Segment(good, default));
        Assert.Contains("'broken'", bad.Fault!.Message, StringComparison.Ordinal);
        Assert.Null(good.Fault);
    }

    [Fact]
    public void Start_PlanTheEnsembleCannotRun_Throws()
    {
        using FakeLanguageModel stranger = new("stranger");
        Assert.Contains("stranger", Assert.Throws<ArgumentException>(() => fused.Start(Prompt(stranger))).Message, StringComparison.Ordinal);
        Assert.Equal(EngineError.InvalidValue, Assert.Throws<EngineException>(() => fused.Start(Prompt([0, 0, 0], [1]))).Error);
        Assert.Throws<ArgumentException>(() => fused.Start(new(new FusionPlan([new(large, StreamRole.Base, 1)]), [])));
        FusionPlan half = new([new(large, StreamRole.Base, 1), new(stranger, StreamRole.Expert, 1)]);
        Assert.Throws<ArgumentException>(() => fused.Start(new(half, [new[] { 1 }, new[] { 1 }])));
        Assert.Equal(0, large.LiveSequences);
    }

    [Fact]
    public void Start_PlanOfStreamsAlone_IsTheirWeightedSumWithATrace()
    {
        StreamPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.AntiExpert, -0.5f)]) { Trace = true };
        using Sequence sequence = fused.Start(new(plan, [new[] { 1, 2 }, new[] { 1, 2 }]));
        float[][] rows = Rows.Forward(fused, new Segment(sequence, default));
        Rows.AssertEqual([Sum((large, 1, [1, 2]), (small, -0.5f, [1, 2]))], rows, 1e-5f);
        Assert.Equal(["large", "small"], sequence.Explain(0, 1, rows[0], 3)!.Streams.Keys);
    }

    [Fact]
    public void Add_WiderModel_IsAMemberAndRowsAreWider()
    {
        using FakeLanguageModel wide = new("wide", vocabularySize: 50, contextLength: 100, 7);
        string hash = fused.Info.Hash;
        fused.Add(wide);
        Assert.Equal((50, 100), (fused.Info.VocabularySize, fused.Info.ContextLength));
        Assert.Equal([3, 4, 5, 7], fused.Info.EndOfTextIds.Order());
        Assert.NotEqual(hash, fused.Info.Hash);
        using Sequence sequence = fused.Start(Prompt(wide));
        Rows.AssertEqual(Rows.Fresh(wide, [1]), Rows.Forward(fused, new Segment(sequence, default)), 0);
    }

    [Fact]
    public void Remove_Member_IsDisposedAndUnknown()
    {
        fused.Remove(large);
        Assert.True(large.IsDisposed);
        Assert.Equal(36, fused.Info.VocabularySize);
        Assert.Throws<ArgumentException>(() => fused.Start(Prompt(large)));
    }

    [Fact]
    public void Prefill_MembersWithLongAndShortPrompts_TellsTheMostThatWasComputed()
    {
        using FakeLanguageModel one = new("one") { ComputesPromptsInPieces = true }, other = new("other") { ComputesPromptsInPieces = true };
        using FusedModel ensemble = new("e", [one, other]);
        FusionPlan plan = new([new(one, StreamRole.Base, 1), new(other, StreamRole.Expert, 1)]);
        using Sequence sequence = ensemble.Start(new(plan, [new int[9], new int[3]]));
        Assert.Equal(9, sequence.Pending);
        Assert.Equal(4, ensemble.Prefill(sequence, 4));
        Assert.Equal((1, 0), (one.Prefills, other.Prefills));
        Assert.Equal(5, sequence.Pending);
        Assert.Equal(0, ensemble.Prefill(sequence, 5));
    }

    [Fact]
    public void Prefill_MemberThrows_NamesIt()
    {
        using FakeLanguageModel broken = new("broken") { ComputesPromptsInPieces = true, OnPrefill = (_, _) => throw new InvalidOperationException("out of memory") };
        using FusedModel ensemble = new("e", [broken]);
        using Sequence sequence = ensemble.Start(ProxyTune.Decoding.Models.Prompt.For(broken, new int[9]));
        EngineException e = Assert.Throws<EngineException>(() => ensemble.Prefill(sequence, 4));
        Assert.Equal(EngineError.ModelFailure, e.Error);
        Assert.Contains("'broken'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_NoModels_SaysSo() =>
        Assert.StartsWith("An ensemble has at least one model.", Assert.Throws<ArgumentException>(() => new FusedModel("none", [])).Message, StringComparison.Ordinal);

    [Fact]
    public void Info_SeveralMembers_JoinsThem()
    {
        Assert.Equal((40, 64), (fused.Info.VocabularySize, fused.Info.ContextLength));
        Assert.Equal([3, 4, 5], fused.Info.EndOfTextIds);
        using FusedModel other = new("town", [small, large]);
        Assert.NotEqual(fused.Info.Hash, other.Info.Hash);
    }

    private static Prompt Prompt(ILanguageModel model) => ProxyTune.Decoding.Models.Prompt.For(model, new[] { 1 });

    private Prompt Prompt(float[] weights, params int[][] prompts) => new(
        new FusionPlan([new(large, StreamRole.Base, weights[0]), new(tuned, StreamRole.Expert, weights[1]), new(small, StreamRole.AntiExpert, weights[2])]),
        [.. Enumerable.Range(0, 3).Select(i => (ReadOnlyMemory<int>)prompts[Math.Min(i, prompts.Length - 1)])]);

    private float[] Row(float[] weights)
    {
        using Sequence sequence = fused.Start(Prompt(weights, [1, 2]));
        return Rows.Forward(fused, new Segment(sequence, default))[0];
    }

    /// <summary>The fused row in plain loops. Tokens beyond the shared vocabulary are banned.</summary>
    private float[] Sum(params (FakeLanguageModel Model, float Weight, int[] Text)[] streams)
    {
        int shared = streams.Min(s => s.Model.Info.VocabularySize);
        double[] sum = new double[fused.Info.VocabularySize];
        foreach ((FakeLanguageModel model, float weight, int[] text) in streams)
        {
            float[] row = Rows.Fresh(new FakeLanguageModel(model.Info.Name, model.Info.VocabularySize), text)[0];
            for (int i = 0; i < sum.Length; i++)
            {
                sum[i] += i < shared ? weight * (double)row[i] : double.NegativeInfinity;
            }
        }

        return [.. sum.Select(s => (float)s)];
    }

    /// <summary>Stops at its upper limit at every token.</summary>
    private sealed class Rule(int throwAt = int.MaxValue) : IFusionRule
    {
        private int calls;

        public bool Choose(in FusionStep step, Span<float> factors)
        {
            factors.Fill(1);
            return ++calls < throwAt ? true : throw new InvalidOperationException("a rule is broken");
        }
    }
}
