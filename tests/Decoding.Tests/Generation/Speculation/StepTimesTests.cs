using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>What is learned from measured times and from drafts.</summary>
public sealed class StepTimesTests
{
    [Fact]
    public void Smoothed_FirstMeasurement_IsLeftOut()
    {
        SmoothedTime time = new();
        Assert.Null(time.Seconds);
        time.Add(100);
        Assert.Null(time.Seconds);
        time.Add(4);
        Assert.Equal(4, time.Seconds);
    }

    [Fact]
    public void Smoothed_FewMeasurements_AreAveraged()
    {
        SmoothedTime time = Smoothed(4, 6);
        Assert.Equal(5, time.Seconds);
        time.Add(8);
        Assert.Equal(6, time.Seconds);
    }

    [Fact]
    public void Smoothed_ManyMeasurements_WeighASixteenthEach()
    {
        SmoothedTime time = Smoothed([.. Enumerable.Repeat(4.0, 40)]);
        time.Add(6);
        Assert.Equal(4 + (2 / 16.0), time.Seconds!.Value, 1e-12);
    }

    [Fact]
    public void Smoothed_Stall_CountsAsTwiceTheAverage() => Assert.Equal((4 + 8) / 2.0, Smoothed(4, 1000).Seconds);

    [Fact]
    public void Smoothed_LessThanHalf_ForgetsWhatWasBefore()
    {
        Assert.Equal(1.9, Smoothed(4, 4, 4, 1.9).Seconds);
        Assert.Equal(3.5, Smoothed(4, 4, 4, 2).Seconds);
        Assert.Equal((1 + 1.5) / 2, Smoothed(4, 4, 4, 1, 1.5).Seconds);
    }

    [Fact]
    public void Block_FirstMeasurement_IsLeftOut()
    {
        BlockTime block = new();
        block.Add(3, 100);
        Assert.Equal((0, 0), (block.Pass, block.Position));
    }

    [Fact]
    public void Block_OneMeasurement_AssumesATenthOfAPassForAPosition()
    {
        BlockTime block = Block((0, 10));
        Assert.Equal((10, 1), (block.Pass, block.Position), Near);
        Assert.Equal(14, block.Of(4), 1e-9);
    }

    [Fact]
    public void Block_TimesOfALine_FindsItsPassAndPosition()
    {
        BlockTime block = Block([.. Enumerable.Range(0, 60).Select(i => (i % 5, 10 + (0.5 * (i % 5))))]);
        Assert.Equal(10, block.Pass, 0.1);
        Assert.Equal(0.5, block.Position, 0.05);
        Assert.Equal(12, block.Of(4), 0.1);
    }

    [Fact]
    public void Block_NewerTimes_WeighMore()
    {
        BlockTime block = Block([.. Enumerable.Repeat((0, 10.0), 50), .. Enumerable.Repeat((0, 12.0), 50)]);
        Assert.Equal(12, block.Pass, 0.3);
    }

    [Fact]
    public void Block_FewMeasurements_IsNotKnownYet()
    {
        Assert.False(Block((0, 10), (1, 10), (2, 10)).IsKnown);
        Assert.True(Block((0, 10), (1, 10), (2, 10), (1, 10)).IsKnown);
        BlockTime block = Block((0, 10), (1, 10), (2, 10), (1, 10));
        block.Forget();
        Assert.False(block.IsKnown);
    }

    [Fact]
    public void Block_Stall_CountsAsTwiceWhatWasExpected()
    {
        BlockTime stalled = Block([.. Enumerable.Repeat((0, 10.0), 20), (0, 1000)]), twice = Block([.. Enumerable.Repeat((0, 10.0), 20), (0, 20)]);
        Assert.Equal(twice.Pass, stalled.Pass, 1e-9);
    }

    [Fact]
    public void Block_LessThanHalf_ForgetsWhatWasBefore()
    {
        BlockTime block = Block([.. Enumerable.Repeat((0, 10.0), 20), (0, 4)]);
        Assert.Equal((4, 0.4), (block.Pass, block.Position), Near);
        Assert.False(block.IsKnown);
    }

    [Fact]
    public void Block_LongerBlocksTakeLess_CostsNothingPerPosition()
    {
        BlockTime block = Block([.. Enumerable.Range(0, 40).Select(i => (i % 5, 10 - (0.5 * (i % 5))))]);
        Assert.Equal(0, block.Position);
        Assert.Equal(9, block.Pass, 0.2);
    }

    [Fact]
    public void IsStale_ManyStepsOfOneKind_AsksForTheOther()
    {
        StepTimes times = new();
        Count(times, hasDrafted: false, 3);
        Assert.Equal(3, times.Repeated);
        Assert.Equal((true, false, false), (times.IsStale(drafts: false, 3), times.IsStale(drafts: false, 4), times.IsStale(drafts: true, 3)));
        Count(times, hasDrafted: true, 1);
        Assert.Equal(1, times.Repeated);
        Assert.Equal((true, false, false), (times.IsStale(drafts: true, 1), times.IsStale(drafts: true, 2), times.IsStale(drafts: false, 1)));
        Count(times, hasDrafted: true, 4);
        Assert.True(times.IsStale(drafts: true, 5));
    }

    [Fact]
    public void Record_AcceptedAndRejectedDraftTokens_MoveTheRate()
    {
        DraftRecord record = new(10);
        Assert.Equal(0.7, record.Rate);
        record.Add(tokens: 3, right: 2, wrong: true);
        Assert.Equal((1 - (0.3 * 0.9 * 0.9)) * 0.9, record.Rate, 1e-12);
        record.Add(1, 0, wrong: false);
        Assert.Equal((1 - (0.3 * 0.9 * 0.9)) * 0.9, record.Rate, 1e-12);
    }

    [Fact]
    public void Record_TokensWithoutDrafts_AreCountedSinceTheLastDraft()
    {
        DraftRecord record = new(10);
        record.Add(1, 0, wrong: false);
        record.Add(2, 0, wrong: false);
        Assert.Equal(3, record.TokensSinceDraft);
        record.Add(1, 0, wrong: true);
        Assert.Equal(0, record.TokensSinceDraft);
        record.Add(1, 0, wrong: false);
        record.Add(2, 1, wrong: false);
        Assert.Equal(0, record.TokensSinceDraft);
    }

    [Fact]
    public void Record_OfAll_TakesPartAndIsWhereNewOnesStart()
    {
        DraftRecord all = new(10), one = new(2, all);
        Assert.Equal(0.7, one.Rate);
        one.Add(1, 1, wrong: false);
        Assert.Equal((0.85, 0.73), (one.Rate, all.Rate), Near);
        Assert.Equal(0.73, new DraftRecord(2, all).Rate, 1e-12);
    }

    [Fact]
    public void StepCount_TokensOfSequences_AreAddedUp()
    {
        Assert.Equal(default, StepCount.Of(drafted: 3, tokens: 0));
        Assert.Equal(new StepCount(3, 1, 5, 2), StepCount.Of(drafted: 5, tokens: 3));
        Assert.Equal(new StepCount(11, 22, 33, 44), new StepCount(1, 2, 3, 4) + new StepCount(10, 20, 30, 40));
    }

    private static bool Near((double, double) expected, (double, double) actual) =>
        Math.Abs(expected.Item1 - actual.Item1) < 1e-9 && Math.Abs(expected.Item2 - actual.Item2) < 1e-9;

    private static SmoothedTime Smoothed(params double[] seconds)
    {
        SmoothedTime time = new();
        time.Add(50);
        Array.ForEach(seconds, time.Add);
        return time;
    }

    private static BlockTime Block(params (int Positions, double Seconds)[] steps)
    {
        BlockTime block = new();
        block.Add(1, 50);
        Array.ForEach(steps, step => block.Add(step.Positions, step.Seconds));
        return block;
    }

    private static void Count(StepTimes times, bool hasDrafted, int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            times.Count(hasDrafted);
        }
    }
}
