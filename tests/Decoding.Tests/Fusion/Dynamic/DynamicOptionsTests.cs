using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class DynamicOptionsTests
{
    [Theory]
    [InlineData(0f)]
    [InlineData(-1f)]
    [InlineData(10.5f)]
    [InlineData(float.NaN)]
    public void Check_MaximumOutOfRange_NamesFieldValueAndRange(float maximum) =>
        AssertRefused(new() { Maximum = maximum }, "maximum", $"maximum is {maximum}; it must be above 0 and at most 10.");

    [Theory]
    [InlineData(-0.5f)]
    [InlineData(2.5f)]
    [InlineData(float.NaN)]
    public void Check_MinimumOutOfRange_NamesFieldValueAndRange(float minimum) =>
        AssertRefused(new() { Minimum = minimum }, "minimum", $"minimum is {minimum}; it must be from 0 to the maximum, 2.");

    [Theory]
    [InlineData(0f, 10f)]
    [InlineData(2f, 2f)]
    [InlineData(0f, 0.001f)]
    public void Check_ValuesAtTheirBounds_ArePassed(float minimum, float maximum) => new DynamicOptions { Minimum = minimum, Maximum = maximum }.Check();

    private static void AssertRefused(DynamicOptions options, string field, string message)
    {
        EngineException e = Assert.Throws<EngineException>(options.Check);
        Assert.Equal((EngineError.InvalidValue, field, message), (e.Error, e.Field, e.Message));
    }
}
