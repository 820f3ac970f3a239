using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class AlphaScheduleTests
{
    [Theory]
    [InlineData(ScheduleKind.Constant, 3, 0.5f, 0, 1)]
    [InlineData(ScheduleKind.Gated, 3, 0.5f, 0, 1)]
    [InlineData(ScheduleKind.WarmUp, 3, 0, 0, 0)]
    [InlineData(ScheduleKind.WarmUp, 3, 0, 2, 0)]
    [InlineData(ScheduleKind.WarmUp, 3, 0, 3, 1)]
    [InlineData(ScheduleKind.WarmUp, 0, 0, 0, 1)]
    [InlineData(ScheduleKind.Linear, 4, 0.5f, 0, 0.5f)]
    [InlineData(ScheduleKind.Linear, 4, 0.5f, 1, 0.625f)]
    [InlineData(ScheduleKind.Linear, 4, 0.5f, 3, 0.875f)]
    [InlineData(ScheduleKind.Linear, 4, 0.5f, 4, 1)]
    [InlineData(ScheduleKind.Linear, 4, 0.5f, 400, 1)]
    [InlineData(ScheduleKind.Linear, 0, 0.5f, 0, 1)]
    public void Factor_Position_IsTheShareOfTheWeight(ScheduleKind kind, int tokens, float from, int position, float expected) =>
        Assert.Equal(expected, new AlphaSchedule(kind, tokens, from).Factor(position));
}
