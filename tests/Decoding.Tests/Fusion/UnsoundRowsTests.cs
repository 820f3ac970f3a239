using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Models;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Checks that NaN and plus infinity in a row fail the sequence and are never sampled.</summary>
public sealed class UnsoundRowsTests : IDisposable
{
    private readonly FakeFamily family = new();

    public void Dispose() => family.Dispose();

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Forward_AnyMethodMaskAndSchedule_NamesTheMember(float logit)
    {
        using FakeFamily broken = new();
        foreach ((ServedModel served, AskedFusion settings) in Cases(broken))
        {
            FusionPlan plan = served.Plan(settings, CallerRole.Operator).LoadPatches();
            foreach (string member in Running(broken, plan))
            {
                // The NaN is at a token that no mask keeps, at the first position, where a warm-up gives all experts weight 0 and a gate may be closed.
                broken.Edit = (name, row) => row[name == member ? 255 : 0] = name == member ? logit : row[0];
                foreach (int[] answer in new int[][] { [], [21, 22, 23] })
                {
                    using Sequence sequence = broken.Ensemble.Start(FakeFamily.PromptOf(plan));
                    Rows.Forward(broken.Ensemble, new Segment(sequence, answer));
                    string what = $"{settings.Method}, {settings.Mask!.Kind}, {settings.Schedule!.Kind}, {member}, token {answer.Length}";
                    Assert.True(sequence.Fault is { Error: EngineError.ModelFailure }, what);
                    Assert.True(sequence.Fault.Message.Contains($"'{member}'", StringComparison.Ordinal), $"{what}: {sequence.Fault.Message}");
                }
            }
        }
    }

    [Fact]
    public void Forward_UnsoundBeyondTheSharedVocabulary_IsIgnored()
    {
        using FakeFamily broken = new() { Edit = (_, row) => row[^1] = float.NaN };
        FusionPlan plan = broken.Pairs.Plan(FusionCases.Methods[2], CallerRole.Operator).LoadPatches();
        using Sequence sequence = broken.Ensemble.Start(FakeFamily.PromptOf(plan));
        Rows.Forward(broken.Ensemble, new Segment(sequence, default));
        Assert.Null(sequence.Fault);
    }

    /// <summary>Checks that a token banned by every stream is banned by every method, without NaN.</summary>
    [Fact]
    public void Forward_EveryMemberBans_BansWithoutNaN()
    {
        using FakeFamily banning = new() { Edit = (name, row) => row[^(name.Length + 60)..].Fill(float.NegativeInfinity) };
        foreach ((ServedModel served, AskedFusion settings) in Cases(banning))
        {
            using Sequence sequence = banning.Ensemble.Start(FakeFamily.PromptOf(served.Plan(settings, CallerRole.Operator).LoadPatches()));
            float[][] rows = Rows.Forward(banning.Ensemble, new Segment(sequence, new[] { 21, 22, 23 }, 4));
            Assert.Null(sequence.Fault);
            Assert.All(rows, row => Assert.DoesNotContain(row, s => float.IsNaN(s) || float.IsPositiveInfinity(s)));
            Assert.All(rows, row => Assert.Contains(row, float.IsFinite));
            Assert.All(rows, row => Assert.All(row[256..], s => Assert.Equal(float.NegativeInfinity, s)));
        }
    }

    private static IEnumerable<(ServedModel Served, AskedFusion Settings)> Cases(FakeFamily family) =>
        from served in new (ServedModel Model, IReadOnlyList<AskedFusion> Methods)[] { (family.Pairs, FusionCases.Methods), (family.Rewards, FusionCases.Rewards) }
        from method in served.Methods
        from mask in FusionCases.Masks.Values
        from schedule in FusionCases.Schedules.Where(schedule => schedule.Kind != "linear")
        where FusionCases.Fits(method, mask)
        select (served.Model, method with { Mask = mask, Schedule = schedule });

    private static IEnumerable<string> Running(FakeFamily family, FusionPlan plan)
    {
        using FusedSequence sequence = (FusedSequence)family.Ensemble.Start(FakeFamily.PromptOf(plan));
        return [.. sequence.Running.Streams.Select(stream => stream.Model.Info.Name).Distinct()];
    }
}
