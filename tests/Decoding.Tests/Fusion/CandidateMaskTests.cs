using CsCheck;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares each kind of mask with sorted sets in plain loops.</summary>
public sealed class CandidateMaskTests
{
    private const float Banned = float.NegativeInfinity;

    // Logits are multiples of 0.25, so that there are ties. Some tokens are banned, but never all.
    private static readonly Gen<float[]> Rows =
        Gen.Frequency((9, Gen.Int[-16, 16].Select(i => i / 4f)), (1, Gen.Const(Banned))).Array[120].Select(row => (float[])[.. row[..^1], 0.5f]);

    [Fact]
    public void Apply_Ratio_KeepsTokensThatReachTheShareOfTheMaximum() =>
        Gen.Select(Rows, Rows, Gen.Int[0, 30]).Sample((fused, ofBase, quarters) =>
            Check(new(MaskKind.Ratio, Math.Exp(-(quarters / 4.0) - 0.1)), fused, ofBase, [], id => ofBase[id] >= ofBase.Max() - (quarters / 4f)));

    [Fact]
    public void Apply_RatioOne_KeepsAllLikeliestTokens() => Check(new(MaskKind.Ratio, 1), [1, 2, 3, 4], [5, 7, 7, 1], [], id => id is 1 or 2);

    [Fact]
    public void Apply_TopK_KeepsTheKLikeliestOfTheBaseOrAnyExpert() =>
        Gen.Select(Rows, Rows, Rows.Array[0, 3], Gen.Int[1, 130]).Sample((fused, ofBase, experts, k) =>
        {
            HashSet<int>[] sets = [.. experts.Prepend(ofBase).Select(row => Distribution.Top(Wide(row), k))];
            Check(new(MaskKind.TopK, k), fused, ofBase, experts, id => sets.Any(set => set.Contains(id)));
        });

    [Fact]
    public void Apply_Nucleus_KeepsTheSmallestSetOfItsOriginThatReachesTheProbability() =>
        Gen.Select(Rows, Rows, Rows.Array[1, 3], Gen.Float[0.05f, 0.95f]).Sample((fused, ofBase, experts, p) =>
        {
            foreach ((MaskOrigin of, float[] row) in new[] { (MaskOrigin.Base, ofBase), (MaskOrigin.Expert, experts[0]) })
            {
                // If rounding decides, both sets are right.
                HashSet<int> nucleus = Distribution.Nucleus(Wide(row), p);
                if (nucleus.SetEquals(Distribution.Nucleus(Wide(row), p - 1e-5)) && nucleus.SetEquals(Distribution.Nucleus(Wide(row), p + 1e-5)))
                {
                    Check(new(MaskKind.Nucleus, p, of), fused, ofBase, experts, nucleus.Contains);
                }
            }
        });

    [Fact]
    public void Apply_NucleusOfOne_KeepsTheLeastLikelyToken() =>
        Check(new(MaskKind.Nucleus, 1), [1, 2, 3, 4, 5], [50, 0, -60, -80, 50], [], _ => true);

    [Fact]
    public void Apply_NucleusOfExpertsThatDoNotRun_MasksNothing() =>
        Check(new(MaskKind.Nucleus, 0.1, MaskOrigin.Expert), [1, Banned, 3], [9, 0, 0], [], _ => true);

    [Fact]
    public void Apply_NoMask_CountsTokensThatAreNotBanned() => Check(CandidateMask.None, [1, Banned, 3], [9, 0, 0], [[1, 2, 3]], _ => true);

    [Theory]
    [InlineData(MaskKind.Ratio, 0.5)]
    [InlineData(MaskKind.Nucleus, 0.5)]
    [InlineData(MaskKind.TopK, 1)]
    public void Apply_AllCandidatesAreBanned_KeepsTheLikeliestOfTheRest(MaskKind kind, double amount)
    {
        float[] fused = [Banned, 1, 3, 2];
        Assert.Equal(1, new CandidateMask(kind, amount).Apply(fused, [9, 0, 0, 0], []));
        Assert.Equal([Banned, Banned, 3, Banned], fused);
    }

    [Theory]
    [InlineData(MaskKind.Nucleus, 0.5)]
    [InlineData(MaskKind.TopK, 5)]
    public void Apply_SecondCall_AllocatesNoRow(MaskKind kind, double amount)
    {
        float[] row = [.. Enumerable.Range(0, 50_000).Select(i => i % 97 / 10f)], fused = [.. row];
        CandidateMask mask = new(kind, amount);
        long least = long.MaxValue;

        // Arrays that other tests returned to the pool are used up by the first calls.
        for (int i = 0; i < 100; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            mask.Apply(fused, row, []);
            least = i < 95 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.InRange(least, 0, 10_000);
    }

    /// <summary>Checks that candidates keep their logits, that other tokens are banned, and that the count is right. Without candidates the likeliest token stays.</summary>
    private static void Check(CandidateMask mask, float[] fused, float[] ofBase, float[][] experts, Func<int, bool> isCandidate)
    {
        float[] expected = [.. fused.Select((score, id) => isCandidate(id) ? score : Banned)];
        if (expected.All(float.IsNegativeInfinity))
        {
            expected[Distribution.Likeliest(Wide(fused))] = fused.Max();
        }

        float[] actual = [.. fused];
        int kept = mask.Apply(actual, ofBase, [.. experts.Select(row => (ReadOnlyMemory<float>)row)]);
        Assert.Equal(expected, actual);
        Assert.Equal(expected.Count(float.IsFinite), kept);
    }

    private static double[] Wide(float[] row) => [.. row.Select(score => (double)score)];
}
