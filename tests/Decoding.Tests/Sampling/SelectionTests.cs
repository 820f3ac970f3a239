using CsCheck;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

public sealed class SelectionTests
{
    private static readonly Gen<float[]> CoarseRows =
        Gen.Int[-30, 30].Select(i => i / 4f).Array[1, 2000];

    [Fact]
    public void Top_AnyRow_EqualsASort() =>
        Gen.Select(CoarseRows, Gen.Int[1, 200]).Sample((row, wanted) =>
        {
            int k = Math.Min(wanted, row.Length);
            Candidate[] candidates = new Candidate[row.Length];
            Selection.Top(row, k, candidates);
            int[] sorted = [.. Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i).Take(k)];
            Assert.Equal(sorted.Order(), candidates[..k].Select(c => c.Id).Order());
            Assert.Equal(sorted[^1], candidates[k - 1].Id);
        });

    [Fact]
    public void Nucleus_AnyMassesAndTarget_IsTheSmallestLeadingSet() =>
        Gen.Select(Gen.Int[-8, 8].Array[1, 300], Gen.Int[0, 40]).Sample((row, eighths) =>
        {
            // Whole eighths, so that sums are exact and a target is often met exactly. Scores repeat, masses follow them.
            Candidate[] candidates = [.. row.Select((score, id) => new Candidate(score, id, (score + 9) / 8f))];
            Candidate[] sorted = [.. candidates.OrderByDescending(c => c.Score).ThenBy(c => c.Id)];
            double target = eighths / 40.0 * candidates.Sum(c => c.Mass), sum = sorted[0].Mass;
            int expected = 1;
            while (sum < target)
            {
                sum += sorted[expected++].Mass;
            }

            Assert.Equal(expected, Selection.Nucleus(candidates, target));
            Assert.Equal(sorted[..expected].Select(c => c.Id).Order(), candidates[..expected].Select(c => c.Id).Order());
            Assert.Equal(sorted[expected - 1], candidates[expected - 1]);
        });

    [Fact]
    public void Nucleus_TargetOutOfReach_IsAll()
    {
        Candidate[] candidates = [.. Enumerable.Range(0, 50).Select(i => new Candidate(i % 7, i, 1))];
        Assert.Equal(50, Selection.Nucleus(candidates, 50.5));
    }

    [Fact]
    public void Winner_AnyRow_HasTheLargestNoisyScore() =>
        Gen.Select(Gen.Float[-20f, 20f].Array[1, 3000], Gen.ULong, Gen.Int[0, 100_000]).Sample((row, seed, position) =>
        {
            float largest = row.Max();
            float[] scores = [.. row.Select(s => s - largest)];
            GumbelNoise noise = new(seed, position);
            int expected = Enumerable.Range(0, row.Length).MaxBy(i => scores[i] + noise[i]);
            Assert.Equal(expected, GumbelRace.Winner(scores, Cut.None, noise, Array.IndexOf(row, largest)));
        });

    [Fact]
    public void Winner_RowOfSeveralBlocksAndCut_EqualsTheNoisiestOfTheKept() =>
        Gen.Select(Gen.Int[-12, 0].Select(i => i / 4f).Array[500, 1600], Gen.Int[-12, 0], Gen.Int[0, 1600], Gen.ULong).Sample((row, quarters, last, seed) =>
        {
            row[^1] = 0;
            Cut cut = new(quarters / 4f, last);
            int likeliest = Array.IndexOf(row, 0f);
            GumbelNoise noise = new(seed, 1);
            int expected = Enumerable.Range(0, row.Length).Where(i => i == likeliest || cut.Keeps(row[i], i)).MaxBy(i => row[i] + noise[i]);
            Assert.Equal(expected, GumbelRace.Winner(row, cut, noise, likeliest));
        });

    /// <summary>The race drops tokens by an estimate in single precision; it must not drop one that wins by a hair.</summary>
    [Fact]
    public void Winner_TokenBeatsTheLikeliestByVeryLittle_Wins()
    {
        for (int position = 0; position < 40; position++)
        {
            GumbelNoise noise = new(5, position);
            int lucky = Enumerable.Range(1, 20_000).MaxBy(token => noise[token]);
            float[] scores = new float[lucky + 1];
            Array.Fill(scores, float.NegativeInfinity);
            (scores[0], scores[lucky]) = (0, (float)(noise[0] - noise[lucky] + 5e-6));
            Assert.Equal(lucky, GumbelRace.Winner(scores, Cut.None, noise, 0));
            scores[lucky] -= 1e-5f;
            Assert.Equal(0, GumbelRace.Winner(scores, Cut.None, noise, 0));
        }
    }

    [Fact]
    public void Holds_AnyRowAndToken_TellsWhetherItIsInTheNucleus() =>
        Gen.Select(Gen.Int[-20, 0].Select(i => i / 4f).Array[1, 1600], Gen.Float[0.02f, 0.98f]).Sample((row, p) =>
        {
            row[0] = 0;
            double total = row.Sum(s => Math.Exp(s)), before = 0;
            foreach (int id in Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i))
            {
                // At the limit, rounding decides.
                if (Math.Abs(before - (p * total)) > 1e-5 * total)
                {
                    Assert.Equal(before < p * total, ProxyTune.Decoding.Sampling.Nucleus.Holds(row, p, id));
                }

                before += Math.Exp(row[id]);
            }
        }, iter: 30);

    [Theory]
    [InlineData(0.25f, 1)]
    [InlineData(0.5f, 4)]
    [InlineData(0.500001f, 0)]
    [InlineData(0.625f, 0)]
    [InlineData(0.99f, 5)]
    public void Last_ShareIsMetExactly_IsTheTokenThatMeetsIt(float p, int last)
    {
        // Two tokens of mass 1 and four of mass 1/2, the rest banned.
        float half = MathF.Log(0.5f);
        float[] row = [half, 0, half, half, 0, half, float.NegativeInfinity, float.NegativeInfinity];
        Assert.Equal(last, ProxyTune.Decoding.Sampling.Nucleus.Last(row, p, new Candidate[row.Length]).Id);
    }

    /// <summary>The same seed gives the same text in every version: computed once by another implementation of SplitMix64 and MurmurHash3.</summary>
    [Theory]
    [InlineData(0, 0, 0, 2.724751927001356)]
    [InlineData(0, 0, 1, -1.1733718387419436)]
    [InlineData(1, 2, 3, -0.9371169271079511)]
    [InlineData(77, 3, 1999, -0.5341610328212747)]
    [InlineData(ulong.MaxValue, 5000, 151_935, 0.4511461191712484)]
    public void Noise_SeedPositionAndToken_IsFixedForEver(ulong seed, int position, int token, double expected) =>
        Assert.Equal(expected, new GumbelNoise(seed, position)[token], 1e-12);

    [Fact]
    public void Noise_ManyTokensAndPositions_HasTheMomentsOfAGumbel()
    {
        const int Count = 400_000;
        double sum = 0, squares = 0, product = 0, previous = 0;
        for (int i = 0; i < Count; i++)
        {
            double g = new GumbelNoise(9, i % 1000)[i / 1000] - 0.5772156649;
            sum += g;
            squares += g * g;
            product += g * previous;
            previous = g;
        }

        Assert.Equal(0, sum / Count, 0.02);
        Assert.Equal(Math.PI * Math.PI / 6, squares / Count, 0.03);
        Assert.Equal(0, product / Count, 0.02);
    }
}
