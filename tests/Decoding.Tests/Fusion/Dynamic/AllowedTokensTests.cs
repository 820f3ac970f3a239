using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class AllowedTokensTests
{
    private const float Banned = float.NegativeInfinity;
    private readonly AllowedTokens allowed = new();

    [Fact]
    public void Of_NothingIsBanned_IsTheSameRows()
    {
        float[] @base = [1, 2], plus = [3, 4];
        DeltaRows[] deltas = [new(plus, default)];
        FusionStep step = allowed.Of(new(@base, deltas, [0.5f]));
        Assert.True(step.Base == @base.AsSpan() && step.Deltas == deltas.AsSpan());
        Assert.Equal([0.5f], step.Previous.ToArray());
    }

    /// <summary>One instance for positions of any width, with any number of deltas, in any order.</summary>
    [Fact]
    public void Of_RandomRows_IsWhatPlainLoopsKeep()
    {
        Random random = new(1);
        for (int i = 0; i < 500; i++)
        {
            RandomDeltaRows rows = RandomDeltaRows.Draw(random, random.Next(1, 4), random.Next(4, 60));
            rows.Base[random.Next(rows.Base.Length)] = Banned;
            RandomDeltaRows expected = rows.Allowed();
            FusionStep step = allowed.Of(new(rows.Base, [.. rows.Deltas.Select(delta => new DeltaRows(delta.Plus, delta.Minus))], [1, 2]));
            Assert.Equal(expected.Base, step.Base.ToArray());
            Assert.Equal(expected.Deltas.Length, step.Deltas.Length);
            for (int t = 0; t < expected.Deltas.Length; t++)
            {
                Assert.Equal(expected.Deltas[t].Plus ?? [], step.Deltas[t].Plus.ToArray());
                Assert.Equal(expected.Deltas[t].Minus ?? [], step.Deltas[t].Minus.ToArray());
            }

            Assert.Equal([1, 2], step.Previous.ToArray());
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Of_OneRowBansAToken_LeavesItOutOfAll(int banning)
    {
        float[][] rows = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
        rows[banning][1] = Banned;
        FusionStep step = allowed.Of(new(rows[0], [new(rows[1], rows[2])], []));
        Assert.Equal([1, 3], step.Base.ToArray());
        Assert.Equal([4, 6], step.Deltas[0].Plus.ToArray());
        Assert.Equal([7, 9], step.Deltas[0].Minus.ToArray());
    }

    [Fact]
    public void Of_SecondCall_AllocatesNothing()
    {
        float[] @base = [1, Banned, 3], plus = [4, 5, 6];
        DeltaRows[] deltas = [new(plus, @base)];
        allowed.Of(new(@base, deltas, []));
        long before = GC.GetAllocatedBytesForCurrentThread();
        allowed.Of(new(@base, deltas, []));
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
