using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Tests.Settings;

public sealed class OptimizerSettingsTests
{
    [Theory]
    [InlineData("linear", 0, 0.25)]
    [InlineData("linear", 3, 1)]
    [InlineData("linear", 4, 1)]
    [InlineData("linear", 8, 0.55)]
    [InlineData("cosine", 8, 0.55)]
    [InlineData("cosine", 12, 0.1)]
    [InlineData("constant", 11, 1)]
    public void RateAt_Step_FollowsWarmUpAndSchedule(string schedule, long step, double expected) =>
        Assert.Equal(expected, new OptimizerSettings(1, WarmupSteps: 4, schedule, FinalRatio: 0.1).RateAt(step, 12), 1e-9);
}
