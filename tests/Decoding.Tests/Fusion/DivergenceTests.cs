using CsCheck;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class DivergenceTests
{
    private const float Banned = float.NegativeInfinity;

    [Fact]
    public void Of_RandomRows_EqualsPlainLoops() =>
        Gen.Select(Gen.Float[-10f, 10f].Array[40], Gen.Float[-10f, 10f].Array[40]).Sample((p, q) =>
        {
            double expected = Distribution.Divergence([.. p.Select(s => (double)s)], [.. q.Select(s => (double)s)]);
            Assert.Equal(expected, Divergence.Of(p, q), 1e-5 * (1 + expected));
        });

    [Fact]
    public void Of_RowAndItselfShifted_IsZeroAndNeverBelow() =>
        Gen.Select(Gen.Float[-10f, 10f].Array[40], Gen.Float[-5f, 5f]).Sample((p, shift) =>
            Assert.InRange(Divergence.Of(p, [.. p.Select(score => score + shift)]), 0, 2e-6));

    [Fact]
    public void Of_TokenIsBannedByTheFirst_AddsNothing()
    {
        Assert.Equal(Math.Log(2), Divergence.Of([1, Banned], [1, 1]), 1e-6);
        Assert.Equal(0, Divergence.Of([1, Banned], [1, Banned]));
    }

    [Fact]
    public void Of_TokenIsBannedOnlyByTheSecond_IsTheLargestNumber() => Assert.Equal(9999, Divergence.Of([1, 1], [1, Banned]));
}
