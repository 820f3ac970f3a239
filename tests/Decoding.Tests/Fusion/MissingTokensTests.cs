using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares a base that reports its N likeliest tokens with its whole distribution.</summary>
public sealed class MissingTokensTests
{
    [Fact]
    public void Bound_RandomRows_EqualsTheKnapsackInPlainLoops()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            Case @case = new(seed);
            MissingBound bound = @case.Bound();
            double expected = @case.SlowBound();
            Assert.Equal(expected, bound.TotalVariation, 1e-5 * Math.Max(1e-3, expected));
        }
    }

    [Fact]
    public void Bound_RandomTruncatedDistributions_IsNeverExceeded()
    {
        int changed = 0;
        for (int seed = 0; seed < 2000; seed++)
        {
            Case @case = new(seed);
            MissingBound bound = @case.Bound();
            (double distance, bool sameLikeliest) = @case.Truth();
            Assert.InRange(distance, 0, bound.TotalVariation + 1e-6);
            Assert.True(sameLikeliest || !bound.KeepsLikeliest, $"Seed {seed}: another token is the likeliest.");
            changed += sameLikeliest ? 0 : 1;
        }

        // Otherwise the second assertion would check nothing.
        Assert.True(changed > 20, $"Only {changed} cases have another likeliest token.");
    }

    [Fact]
    public void Bound_WorstDistribution_IsAttained()
    {
        // Known 0.5 and 0.2. Of the missing 0.3 no token can have more than 0.2: the largest shift gets 0.2, the next 0.1.
        double[] p = [0.5, 0.2, 0.1, 0, 0.2];
        double[] shift = [0, 0.3, 1, -2, 1.5];
        Case @case = new(p, shift, count: 2);
        MissingBound bound = @case.Bound();
        double missing = ((0.1 + MissingTokens.Rounding) * Math.Exp(1)) + (0.2 * Math.Exp(1.5)), known = 0.5 + (0.2 * Math.Exp(0.3));
        Assert.Equal(missing / (known + missing), bound.TotalVariation, 1e-6);
        Assert.Equal(@case.Truth().Distance, bound.TotalVariation, 2e-5);
        Assert.Equal(0.3, bound.Mass, 1e-6);
        Assert.False(bound.KeepsLikeliest);
    }

    [Fact]
    public void Bound_ExampleOfTheDocument_GivesItsNumbers()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "decoding.md"));
        float[] known = [.. new[] { 0.6, 0.25, 0.1 }.Select(p => (float)Math.Log(p)), float.NegativeInfinity, float.NegativeInfinity];
        float[] shift = [0, 0.5f, 0, 2, 1];
        MissingBound bound = MissingTokens.Bound(known, known[2], 1, shift, [.. known.Zip(shift, (p, g) => p + g)]);

        Assert.Contains("e^2 = 0.369: no probability is wrong by more than 0.369 / 1.481 = 0.249, and as 0.369 < 0.6 the greedy token is certain", text, StringComparison.Ordinal);
        Assert.Equal(0.249, bound.TotalVariation, 5e-4);
        Assert.Equal(0.05, bound.Mass, 1e-6);
        Assert.True(bound.KeepsLikeliest);
    }

    [Theory]
    [InlineData(0.69, true)]
    [InlineData(0.70, false)]
    public void Bound_MissingTokenNearsTheLikeliest_ReportsWhenItCanWin(double shift, bool keeps)
    {
        // ln 2 = 0.693: a missing token of 0.25 needs twice its weight to pass 0.5.
        Assert.Equal(keeps, new Case([0.5, 0.25, 0.15, 0.1], [0, 0, shift, 0], count: 2).Bound().KeepsLikeliest);
    }

    [Fact]
    public void Bound_KnownSumToOneByRounding_IsNotExceeded()
    {
        // Token 3 has 1e-6 of the base, and the remote rounds to four decimals.
        double[] p = [0.6, 0.3, 0.099999, 0.000001];
        float[] known = [-0.5108f, -1.2040f, -2.3026f, float.NegativeInfinity], shift = [0, 0, 0, 18];
        MissingBound bound = MissingTokens.Bound(known, known[2], 1, shift, known);
        double weight = p[3] * Math.Exp(18);

        Assert.Equal(0, bound.Mass, 2e-5);
        Assert.InRange(bound.TotalVariation, weight / (1 + weight), 1);
        Assert.False(bound.KeepsLikeliest);
    }

    [Fact]
    public void Bound_NothingIsMissing_IsTheRounding()
    {
        MissingBound bound = new Case([1, 0, 0], [0, 0, 0], count: 1).Bound();
        Assert.Equal(MissingTokens.Rounding, bound.TotalVariation, 1e-8);
        Assert.Equal((0, true), (bound.Mass, bound.KeepsLikeliest));
    }

    [Fact]
    public void Bound_MissingTokensAreBanned_IsZero() =>
        Assert.Equal(0, MissingTokens.Bound([0, float.NegativeInfinity], 0, 1, [0, float.NegativeInfinity], [0, float.NegativeInfinity]).TotalVariation);

    [Fact]
    public void Bound_DroppedTokenIsLikelierThanTheKnown_CountsIt()
    {
        // The remote reported token 2, but by a text that two tokens share.
        float[] known = [MathF.Log(0.3f), MathF.Log(0.1f), float.NegativeInfinity, float.NegativeInfinity];
        MissingBound bound = MissingTokens.Bound(known, MathF.Log(0.5f), 1, [0, 0, 1, 0], [known[0], known[1], known[2], known[3]]);
        double missing = (0.5 * Math.E) + 0.1 + MissingTokens.Rounding;
        Assert.Equal(missing / (0.4 + missing), bound.TotalVariation, 1e-6);
    }

    [Fact]
    public void Bound_ShiftIsHuge_DoesNotOverflow()
    {
        float[] known = [MathF.Log(0.5f), float.NegativeInfinity, float.NegativeInfinity];
        Assert.Equal(1, MissingTokens.Bound(known, MathF.Log(0.25f), 1, [0, 2000, 0], known).TotalVariation, 1e-6);
        Assert.Equal(0, MissingTokens.Bound(known, MathF.Log(0.25f), 1, [2000, 0, 0], [known[0] + 2000, known[1], known[2]]).TotalVariation, 1e-6);
    }

    [Fact]
    public void Bound_MissingTokenCanBeAsLikelyAsTheLikeliest_IsUnsure() => Assert.False(
        MissingTokens.Bound([-50, float.NegativeInfinity], 0, 1, [50, 0], [0, float.NegativeInfinity]).KeepsLikeliest);

    [Fact]
    public void Bound_SecondCall_AllocatesNoRow()
    {
        float[] known = new float[50_000], shift = new float[50_000];
        Array.Fill(known, float.NegativeInfinity);
        known[0] = MathF.Log(0.9f);
        long least = long.MaxValue;

        // Arrays that other tests returned to the pool are used up by the first calls.
        for (int i = 0; i < 100; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            MissingTokens.Bound(known, -9, 1, shift, known);
            least = i < 95 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.InRange(least, 0, 10_000);
    }

    private sealed class Case
    {
        private readonly double[] probabilities;
        private readonly float[] shift;
        private readonly float[] known;
        private readonly float[] fused;
        private readonly float weight = 1;
        private readonly float most;

        public Case(double[] probabilities, double[] shift, int count, float weight = 1)
        {
            this.probabilities = probabilities;
            this.weight = weight;
            this.shift = [.. shift.Select(g => (float)g)];
            int[] order = [.. Enumerable.Range(0, probabilities.Length).OrderByDescending(id => probabilities[id]).Take(count)];
            known = [.. probabilities.Select((p, id) => order.Contains(id) ? (float)Math.Log(p) : float.NegativeInfinity)];
            fused = [.. known.Select((logprob, id) => (weight * logprob) + this.shift[id])];
            most = (float)Math.Log(probabilities[order[^1]]);
        }

        public Case(int seed)
            : this(new Random(seed))
        {
        }

        private Case(Random random)
            : this(random, random.Next(3, 90))
        {
        }

        private Case(Random random, int size)
            : this(Softmax(random, size), [.. Enumerable.Range(0, size).Select(_ => (random.NextDouble() - 0.5) * 6)], random.Next(1, size), random.Next(4) == 0 ? 1.5f : 1)
        {
        }

        public MissingBound Bound() => MissingTokens.Bound(known, most, weight, shift, fused);

        /// <summary>Fills the missing tokens in order of their shift, sorted.</summary>
        public double SlowBound()
        {
            double left = 1 + MissingTokens.Rounding - Ids(missing: false).Sum(id => Math.Exp(known[id])), largest = Math.Exp(most), missing = 0;
            foreach (int id in Ids(missing: true).OrderByDescending(id => shift[id]))
            {
                double share = Math.Min(largest, Math.Max(0, left));
                left -= share;
                missing += Math.Pow(share, weight) * Math.Exp(shift[id]);
            }

            return missing / (missing + Ids(missing: false).Sum(id => Math.Exp(fused[id])));
        }

        /// <summary>Total variation between the fused distribution over all tokens and the one over the known, and whether both have one likeliest token.</summary>
        public (double Distance, bool SameLikeliest) Truth()
        {
            double[] whole = Normalised(id => Math.Pow(probabilities[id], weight) * Math.Exp(shift[id]));
            double[] partial = Normalised(id => Math.Exp(fused[id]));
            return (whole.Zip(partial, (a, b) => Math.Abs(a - b)).Sum() / 2, Array.IndexOf(whole, whole.Max()) == Array.IndexOf(partial, partial.Max()));
        }

        private IEnumerable<int> Ids(bool missing) => Enumerable.Range(0, known.Length).Where(id => float.IsNegativeInfinity(known[id]) == missing);

        private double[] Normalised(Func<int, double> weigh)
        {
            double[] weights = [.. Enumerable.Range(0, known.Length).Select(weigh)];
            return [.. weights.Select(w => w / weights.Sum())];
        }

        private static double[] Softmax(Random random, int size)
        {
            double sharpness = random.NextDouble() * 8;
            double[] weights = [.. Enumerable.Range(0, size).Select(_ => Math.Exp(random.NextDouble() * sharpness))];
            return [.. weights.Select(w => w / weights.Sum())];
        }
    }
}
