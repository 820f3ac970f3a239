using CsCheck;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

public sealed class LogprobsTests
{
    [Fact]
    public void Top_AnyRow_EqualsLogSoftmaxSorted() =>
        Gen.Select(Gen.Float[-30f, 30f].Array[1, 500], Gen.Int[0, 20]).Sample((row, count) =>
        {
            double normaliser = Math.Log(row.Sum(s => Math.Exp((double)s)));
            TokenLogprob[] top = Logprobs.Top(row, count, Logprobs.Normaliser(row));
            int[] sorted = [.. Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i).Take(count)];
            Assert.Equal(sorted, top.Select(t => t.Id));
            Assert.All(top, t => Assert.Equal(row[t.Id] - normaliser, t.Logprob, 1e-4));
        });

    [Fact]
    public void Top_BannedTokens_AreLeftOut()
    {
        float[] row = [float.NegativeInfinity, 0, float.NegativeInfinity, 0];
        TokenLogprob[] top = Logprobs.Top(row, 4, Logprobs.Normaliser(row));
        Assert.Equal([1, 3], top.Select(t => t.Id));
        Assert.Equal(Math.Log(0.5), top[0].Logprob, 1e-6);
    }

    [Fact]
    public void Top_HugeLogits_DoNotOverflow()
    {
        float[] row = [1000, 1000, float.NegativeInfinity, -3000];
        TokenLogprob[] top = Logprobs.Top(row, 3, Logprobs.Normaliser(row));
        Assert.Equal([0, 1, 3], top.Select(t => t.Id));
        Assert.Equal([Math.Log(0.5), Math.Log(0.5), -4000 + Math.Log(0.5)], top.Select(t => (double)t.Logprob), (x, y) => Math.Abs(x - y) < 1e-3);
    }

    [Fact]
    public void Top_SecondCall_AllocatesNoRow()
    {
        float[] row = [.. Enumerable.Range(0, 50_000).Select(i => i % 97 / 10f)];
        long least = long.MaxValue;

        // Arrays that other tests returned to the pool are used up by the first calls.
        for (int i = 0; i < 100; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Logprobs.Top(row, 5, Logprobs.Normaliser(row));
            least = i < 95 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.InRange(least, 0, 10_000);
    }

    [Fact]
    public void Top_NoneAskedFor_IsEmpty() => Assert.Empty(Logprobs.Top([1, 2], 0, 0));
}
