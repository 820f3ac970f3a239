using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Tests which streams of a plan run, and which stream drafts.</summary>
public sealed class RunningPlanTests : IDisposable
{
    private readonly FakeLanguageModel large = new("large", contextLength: 64);
    private readonly FakeLanguageModel tuned = new("tuned", contextLength: 20);
    private readonly FakeLanguageModel other = new("other", contextLength: 64);
    private readonly FakeLanguageModel small = new("small", contextLength: 64);
    private readonly FakeLanguageModel remote = new("remote") { Expect = _ => Task.CompletedTask };

    public void Dispose() => Array.ForEach([large, tuned, other, small, remote], model => model.Dispose());

    [Fact]
    public void Of_EqualStreams_BecomeOneWithBothWeightsAndNames()
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(small, StreamRole.AntiExpert, -0.25f, "one anti"), new(small, StreamRole.AntiExpert, -0.5f)]);
        RunningPlan running = RunningPlan.Of(new(plan, [new[] { 1 }, new[] { 1 }, new[] { 1 }]));
        Assert.Equal([1, -0.75f], running.Streams.Select(stream => stream.Weight));
        Assert.Equal(["one anti", "small"], running.Streams[1].Names);
    }

    [Fact]
    public void Of_OtherPrompt_StaysASeparateStream()
    {
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(large, StreamRole.AntiExpert, -0.5f)]);
        Assert.Equal(2, RunningPlan.Of(new(plan, [new[] { 1, 2 }, new[] { 1 }])).Streams.Count);
    }

    [Fact]
    public void Of_DeltasThatDoNothing_AreLeftOutWithTheirStreams()
    {
        RunningPlan running = Of(new("none", 1, 3, 0), new("same", 3, 3, 1), new("other", 2, 3, 0.5f));
        FusionDelta delta = Assert.Single(running.Deltas);
        Assert.Equal(new("other", 1, 2, 0.5f), delta);
        Assert.Equal(["large", "other", "small"], running.Streams.Select(stream => stream.Model.Info.Name));
    }

    [Fact]
    public void Of_BaseOfWeightZero_RunsIfAnotherPartReadsIt()
    {
        FusionPlan plan = Plan(0, new FusionDelta("tuned", 1, null, 1));
        Assert.Equal((1, (int?)null), (Of(plan).Streams.Count, Of(plan).Base));
        foreach (FusionPlan looking in new[]
        {
            plan with { Trace = true },
            plan with { Mask = new(MaskKind.Ratio, 0.1) },
            plan with { Schedule = new(ScheduleKind.Gated) },
            plan with { Rule = new DynamicFusion(new()) },
        })
        {
            Assert.Equal((2, (int?)0), (Of(looking).Streams.Count, Of(looking).Base));
        }

        Assert.Null(Of(plan with { Schedule = new(ScheduleKind.WarmUp, 3) }).Base);
    }

    [Fact]
    public void Of_MaskLooksAtExperts_NamesTheirStreams()
    {
        FusionPlan plan = Plan(1, new("tuned", 1, 3, 1), new("other", 2, 3, 1), new("again", 2, 3, 1), new("none", 3, null, 0), new("size", 0, 3, 1));
        Assert.Empty(Of(plan).Experts);
        Assert.Empty(Of(plan with { Mask = new(MaskKind.Nucleus, 0.5) }).Experts);
        foreach (FusionPlan looking in new[]
        {
            plan with { Mask = new(MaskKind.TopK, 1) },
            plan with { Mask = new(MaskKind.Nucleus, 0.5, MaskOrigin.Expert) },
            plan with { DeltaMask = new(0.5) },
        })
        {
            Assert.Equal(["tuned", "other"], Of(looking).Experts.Select(i => Of(looking).Streams[i].Model.Info.Name));
        }
    }

    [Fact]
    public void Of_ExpertThatCancels_StillRunsForTheMask()
    {
        FusionPlan plan = Plan(1, new FusionDelta("nothing", 1, 1, 1)) with { Mask = new(MaskKind.TopK, 1) };
        Assert.Equal(["large", "tuned"], Of(plan).Streams.Select(stream => stream.Model.Info.Name));
        Assert.Equal([1], Of(plan).Experts);
    }

    [Fact]
    public void Of_AllWeightsAreZero_NamesTheField()
    {
        EngineException e = Assert.Throws<EngineException>(() => Of(Plan(0)));
        Assert.Equal((EngineError.InvalidValue, "fusion", "All weights are 0, so no model would run."), (e.Error, e.Field, e.Message));
    }

    [Fact]
    public void Of_NumberOfPromptsDiffers_NamesBothNumbers()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => RunningPlan.Of(new(Plan(1), [new[] { 1 }])));
        Assert.StartsWith("4 streams are planned but 1 prompts given.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Drafter_SeveralExperts_IsTheOneOfTheLargestWeight()
    {
        Assert.Equal("other", Drafter(new("tuned", 1, 3, 0.5f), new("other", 2, 3, 0.75f)));
        Assert.Equal("tuned", Drafter(new("tuned", 1, 3, 0.5f), new("other", 2, 3, 0.25f)));
        Assert.Equal("tuned", Drafter(new("tuned", 1, null, 0.5f), new("size", 0, 3, 2)));
        Assert.Equal("tuned", Drafter(new FusionDelta("tuned", 1, null, 0.5f)));
    }

    [Fact]
    public void Drafter_NoExpertWithAPositiveWeight_IsNone()
    {
        Assert.Null(Drafter(new FusionDelta("tuned", 1, 3, -0.5f)));
        Assert.Null(Drafter(new FusionDelta("amateur", null, 3, 0.5f)));
        Assert.Null(Drafter(new FusionDelta("size", 0, 3, 0.5f)));
        Assert.Null(Drafter());
    }

    [Fact]
    public void Drafter_ExpertIsTheOnlyStream_IsNone() => Assert.Null(Of(Plan(0, new FusionDelta("tuned", 1, null, 1))).Drafter);

    [Fact]
    public void Drafter_StreamIsRemote_IsNone()
    {
        FusionPlan plan = new([new(remote, StreamRole.Base, 1), new(tuned, StreamRole.Expert)]) { Deltas = [new("tuned", 1, null, 1)] };
        Assert.Null(RunningPlan.Of(new(plan, [new[] { 1 }, new[] { 1 }])).Drafter);
    }

    [Theory]
    [InlineData(5, 5)]
    [InlineData(17, 17)]
    [InlineData(18, 17)]
    [InlineData(int.MaxValue, 17)]
    public void MaxAppended_ShortestContext_IsTheLimit(int asked, int expected) =>
        Assert.Equal(expected, Of(new FusionDelta("tuned", 1, 3, 1)).MaxAppended(asked));

    [Fact]
    public void MaxAppended_PromptIsLongerThanAContext_IsZero()
    {
        FusionPlan plan = new([new(tuned, StreamRole.Base, 1)]);
        Assert.Equal(0, RunningPlan.Of(new(plan, [new int[25]])).MaxAppended(10));
    }

    private string? Drafter(params FusionDelta[] deltas) => Of(deltas) is { Drafter: { } i } running ? running.Streams[i].Model.Info.Name : null;

    private RunningPlan Of(params FusionDelta[] deltas) => Of(Plan(1, deltas));

    private static RunningPlan Of(FusionPlan plan) => RunningPlan.Of(new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)new[] { 1, 2, 3 })]));

    /// <summary>A plan with the streams large, tuned, other and small. Only deltas give weights to the streams after the base.</summary>
    private FusionPlan Plan(float weight, params FusionDelta[] deltas) =>
        new([new(large, StreamRole.Base, weight), new(tuned, StreamRole.Expert), new(other, StreamRole.Expert), new(small, StreamRole.AntiExpert)]) { Deltas = deltas };
}
