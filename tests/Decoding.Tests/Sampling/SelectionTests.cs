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
    public void Winner_AnyRow_EqualsTheNoisiestOfAll() =>
        Gen.Select(Gen.Float[-20f, 20f].Array[1, 3000], Gen.ULong, Gen.Int[0, 100_000]).Sample((row, seed, position) =>
        {
            float largest = row.Max();
            float[] scores = [.. row.Select(s => s - largest)];
            GumbelNoise noise = new(seed, position);
            int expected = Enumerable.Range(0, row.Length).MaxBy(i => scores[i] + noise[i]);
            Assert.Equal(expected, GumbelRace.Winner(scores, Cut.None, noise, Array.IndexOf(row, largest)));
        });

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
