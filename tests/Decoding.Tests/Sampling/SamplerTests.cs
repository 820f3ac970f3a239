using System.Diagnostics;
using CsCheck;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Tests.Sampling;

public sealed class SamplerTests
{
    private static readonly Gen<SamplingOptions> Options =
        from temperature in Gen.Float[0.1f, 2f]
        from k in Gen.OneOf(Gen.Const(0), Gen.Int[1, 60])
        from p in Gen.OneOf(Gen.Const(1f), Gen.Float[0.01f, 0.999f])
        from minP in Gen.OneOf(Gen.Const(0f), Gen.Float[0.001f, 1f])
        from presence in Gen.OneOf(Gen.Const(0f), Gen.Int[-128, 128].Select(i => i / 64f))
        from frequency in Gen.OneOf(Gen.Const(0f), Gen.Int[-128, 128].Select(i => i / 64f))
        from repetition in Gen.OneOf(Gen.Const(1f), Gen.Float[0.5f, 2f])
        from seed in Gen.ULong
        from bias in Gen.Dictionary(Gen.Int[0, 19], Gen.Int[-300, 300].Select(i => i / 64f))[0, 3]
        select new SamplingOptions
        {
            Temperature = temperature,
            TopK = k,
            TopP = p,
            MinP = minP,
            PresencePenalty = presence,
            FrequencyPenalty = frequency,
            RepetitionPenalty = repetition,
            Seed = seed,
            LogitBias = bias,
        };

    // Rows from flat to peaked, some with equal logits, some with banned tokens.
    private static readonly Gen<float[]> Rows =
        from spread in Gen.Float[0.01f, 15f]
        from steps in Gen.OneOf(Gen.Const(0f), Gen.Float[0.5f, 2f])
        from row in Gen.Float[-1f, 1f].Array[20, 700]
        from banned in Gen.Int[0, 19].Array[0, 3]
        select row.Select((s, i) => banned.Contains(i) ? float.NegativeInfinity : Round(s * spread, steps)).ToArray();

    private static float Round(float score, float step) => step == 0 ? score : MathF.Round(score / step) * step;

    /// <summary>An answer of thousands of tokens costs as much for each token as a short one with the same different tokens.</summary>
    [Fact]
    public void Next_LongAnswer_CostsAsMuchAsAShortOne()
    {
        SamplingOptions options = new() { Temperature = 0, RepetitionPenalty = 1.1f, PresencePenalty = 0.5f, FrequencyPenalty = 0.1f };
        float[] row = [.. Enumerable.Range(0, 512).Select(i => i % 37 * 0.1f)];
        double Seconds(int length)
        {
            TokenCounts counts = new();
            for (int i = 0; i < length; i++)
            {
                counts.Add(i % 50);
            }

            long start = Stopwatch.GetTimestamp();
            for (int k = 0; k < 200; k++)
            {
                Sampler.Next(row, counts, [], options, length);
            }

            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Seconds(100);
        double early = Enumerable.Range(0, 9).Min(_ => Seconds(100)), late = Enumerable.Range(0, 9).Min(_ => Seconds(100_000));
        Assert.True(late < 5 * early, $"{late} s against {early} s");
    }

    /// <summary>Draft tokens count as tokens of the answer.</summary>
    [Fact]
    public void Next_WithADraft_EqualsTheAnswerWithItsTokens()
    {
        SamplingOptions options = new() { Seed = 3, RepetitionPenalty = 1.3f, PresencePenalty = 0.5f, FrequencyPenalty = 0.7f };
        Random random = new(1);
        for (int k = 0; k < 200; k++)
        {
            float[] row = [.. Enumerable.Range(0, 20).Select(_ => (float)(random.NextDouble() * 4) - 2)];
            int[] answer = [.. Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(20))];
            int split = random.Next(answer.Length + 1);
            TokenCounts counts = new();
            for (int i = 0; i < split; i++)
            {
                counts.Add(answer[i]);
            }

            Assert.Equal(Sampler.Next(row, answer, options, k), Sampler.Next(row, counts, answer.AsSpan(split), options, k));
        }
    }

    [Fact]
    public void Next_RandomRowsAndOptions_EqualsTheSortingOracle() =>
        Gen.Select(Rows, Options, Gen.Int[0, 19].Array[0, 30], Gen.Int[0, 5000]).Sample(
            (row, options, generated, position) =>
            {
                double[] scores = SamplerOracle.Scores(row, generated, options);
                int drawn = Sampler.Next(row, generated, options, position);
                int[] acceptable =
                [
                    .. new[] { 0, -3e-6, 3e-6 }.Select(slack => SamplerOracle.Draw(scores, SamplerOracle.Kept(scores, options, slack), options, position)),
                ];
                Assert.Contains(drawn, acceptable);
            },
            iter: 2000);

    [Fact]
    public void Next_TemperatureZero_TakesTheLowestIdOfTheLargest()
    {
        Assert.Equal(1, Sampler.Next([1, 3, 3, 2], [], new() { Temperature = 0 }, 0));
        Assert.Equal(3, Sampler.Next([1, 3, 3, 2], [1, 2], new() { Temperature = 0, PresencePenalty = 2 }, 0));
        Assert.Equal(0, Sampler.Next([1, 3, 3, 2], [], new() { Temperature = 0, LogitBias = new Dictionary<int, float> { [0] = 100 } }, 0));
    }

    [Theory]
    [InlineData(0.9999999f)]
    [InlineData(1e-30f)]
    public void Next_ExtremeTopP_DrawsFromARow(float p)
    {
        float[] flat = new float[5000], peaked = new float[5000];
        Array.Fill(peaked, -200);
        peaked[1234] = 5;
        for (int position = 0; position < 20; position++)
        {
            Assert.InRange(Sampler.Next(flat, [], new() { TopP = p }, position), 0, p < 0.5 ? 0 : 4999);
            Assert.Equal(1234, Sampler.Next(peaked, [], new() { TopP = p }, position));
        }
    }

    [Fact]
    public void Next_ZerosOfBothSigns_AreEqual()
    {
        Assert.Equal(1, Sampler.Next([-1, -0f, 0, -0f], [], new() { Temperature = 0 }, 0));
        Assert.Equal(1, Sampler.Next([-1, -0f, 0, -0f], [], new() { TopK = 1 }, 0));
    }

    [Fact]
    public void Next_TinyTemperature_IsGreedy() =>
        Assert.Equal(2, Sampler.Next([-1000, 1000, 1001, float.NegativeInfinity], [], new() { Temperature = 1e-38f }, 0));

    [Fact]
    public void Next_EqualLogitsAndTopK_KeepsTheLowestIds()
    {
        float[] row = new float[100];
        for (int position = 0; position < 300; position++)
        {
            Assert.InRange(Sampler.Next(row, [], new() { TopK = 3 }, position), 0, 2);
        }
    }

    /// <summary>Equal logits, so that masses are exact and a bound can be met exactly.</summary>
    [Theory]
    [InlineData(0.125f, 1)]
    [InlineData(0.25f, 2)]
    [InlineData(0.250001f, 3)]
    [InlineData(0.5f, 4)]
    [InlineData(0.500001f, 5)]
    [InlineData(1f, 8)]
    public void Next_TopPIsMetExactly_KeepsNoTokenMore(float p, int kept)
    {
        Assert.Equal(Enumerable.Range(0, kept), Drawn(new float[8], new() { TopP = p }));

        // Top-p shares out what top-k kept.
        Assert.Equal(Enumerable.Range(0, kept), Drawn(new float[20], new() { TopP = p, TopK = 8 }));
    }

    [Fact]
    public void Next_WidthIsAMultipleOfABlock_DrawsTheOnlyToken()
    {
        float[] row = new float[1024];
        Array.Fill(row, float.NegativeInfinity);
        row[1023] = 1;
        Assert.Equal([1023], Drawn(row, new()));
        Assert.Equal([1023], Drawn(row, new() { TopP = 0.5f }));
    }

    [Fact]
    public void Next_MinP_KeepsTokensAtTheBound()
    {
        float half = MathF.Log(0.5f);
        float[] row = [half, 0, MathF.BitDecrement(half), half - 1, half, 0];
        Assert.Equal([0, 1, 4, 5], Drawn(row, new() { MinP = 0.5f }));
        Assert.Equal([1, 5], Drawn(row, new() { MinP = 1 }));
    }

    [Fact]
    public void Next_MinPOneAndEqualLogitsFarApart_DrawsAllOfThem()
    {
        float[] row = new float[1500];
        Array.Fill(row, -1f);
        row[3] = row[700] = row[1499] = 2;
        Assert.Equal([3, 700, 1499], Drawn(row, new() { MinP = 1 }));
    }

    [Fact]
    public void Next_TopK_KeepsTheKLikeliest()
    {
        float[] row = [-1, 3, 2.5f, float.NegativeInfinity, 3, 2];
        Assert.Equal([1], Drawn(row, new() { TopK = 1 }));
        Assert.Equal([1, 4], Drawn(row, new() { TopK = 2 }));
        Assert.Equal([1, 2, 4], Drawn(row, new() { TopK = 3 }));
        Assert.Equal([0, 1, 2, 4, 5], Drawn(row, new() { TopK = 5, Temperature = 2 }));
        Assert.Equal([0, 1, 2, 4, 5], Drawn(row, new() { TopK = 6, Temperature = 2 }));
        Assert.Equal([0, 1, 2, 4, 5], Drawn(row, new() { TopK = 1000, Temperature = 2 }));
    }

    /// <summary>One penalty at a time, at temperature 0: which token is the largest tells what became of each logit.</summary>
    [Fact]
    public void Next_OnePenalty_ChangesGeneratedTokensOnly()
    {
        Assert.Equal(1, Greedy([2, 1.5f, 0], [0], new() { Temperature = 0, RepetitionPenalty = 1.5f }));
        Assert.Equal(0, Greedy([2, 1.5f, 0], [0], new() { Temperature = 0, RepetitionPenalty = 1.25f }));
        Assert.Equal(1, Greedy([-2, -2.5f], [0], new() { Temperature = 0, RepetitionPenalty = 1.5f }));
        Assert.Equal(1, Greedy([2, 1.5f, 0], [0, 0, 0], new() { Temperature = 0, PresencePenalty = 0.75f }));
        Assert.Equal(0, Greedy([2, 1.5f, 0], [0, 0, 0], new() { Temperature = 0, PresencePenalty = 0.25f }));
        Assert.Equal(1, Greedy([2, 1.5f, 0], [0, 0, 0], new() { Temperature = 0, FrequencyPenalty = 0.25f }));
        Assert.Equal(0, Greedy([2, 1.5f, 0], [0], new() { Temperature = 0, FrequencyPenalty = 0.25f }));
        Assert.Equal(2, Greedy([2, 1.5f, 0], [2], new() { Temperature = 0, FrequencyPenalty = -2, PresencePenalty = -1 }));

        static int Greedy(float[] row, int[] generated, SamplingOptions options) => Sampler.Next(row, generated, options, 0);
    }

    [Theory]
    [InlineData(0, 1f, 0f)]
    [InlineData(6, 1f, 0f)]
    [InlineData(0, 0.8f, 0f)]
    [InlineData(0, 1f, 0.2f)]
    public void Next_ManyPositions_FollowsTheDistribution(int topK, float topP, float minP)
    {
        const int Draws = 20_000;
        float[] row = [.. Enumerable.Range(0, 40).Select(i => 2 * MathF.Sin(i * 1.7f))];
        SamplingOptions options = new() { Temperature = 0.9f, TopK = topK, TopP = topP, MinP = minP, Seed = 77 };
        double[] scores = SamplerOracle.Scores(row, [], options);
        List<int> kept = SamplerOracle.Kept(scores, options);
        double[] mass = [.. kept.Select(i => Math.Exp(scores[i]))];
        int[] counts = new int[row.Length];
        for (int position = 0; position < Draws; position++)
        {
            counts[Sampler.Next(row, [], options, position)]++;
        }

        Assert.Equal(Draws, kept.Sum(i => counts[i]));
        double chiSquare = kept.Select((id, i) => Deviation(counts[id], Draws * mass[i] / mass.Sum())).Sum();

        // Mean n - 1, variance 2 (n - 1): five standard deviations, with the seed fixed.
        double degrees = kept.Count - 1;
        Assert.InRange(chiSquare, 0, degrees + (5 * Math.Sqrt(2 * degrees)));
    }

    [Fact]
    public void Next_ManySeeds_FollowsTheDistribution()
    {
        const int Draws = 20_000;
        int[] counts = new int[4];
        for (int seed = 0; seed < Draws; seed++)
        {
            counts[Sampler.Next([0, 0, 0, 0], [], new() { Seed = (ulong)seed }, 3)]++;
        }

        Assert.InRange(counts.Sum(c => Deviation(c, Draws / 4.0)), 0, 3 + (5 * Math.Sqrt(6)));
    }

    [Theory]
    [InlineData(0, 1f)]
    [InlineData(0, 0.01f)]
    [InlineData(20, 1f)]
    [InlineData(20, 0.5f)]
    public void Next_SecondCall_AllocatesNoRow(int topK, float topP)
    {
        float[] row = [.. Enumerable.Range(0, 50_000).Select(i => i % 97 / 10f)];
        SamplingOptions options = new() { TopK = topK, TopP = topP, PresencePenalty = 1 };
        Assert.InRange(Enumerable.Range(0, 5).Min(position => Allocated(() => Sampler.Next(row, [1, 2], options, position))), 0, 10_000);
    }

    [Fact]
    public void Next_AnyOptions_LeavesTheRowUnchanged()
    {
        float[] row = [1, 2, 3, -1];
        Sampler.Next(row, [2, 2], new() { Temperature = 0.5f, FrequencyPenalty = 1, TopP = 0.5f }, 0);
        Assert.Equal([1, 2, 3, -1], row);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Next_NoTokenCanBeDrawn_NamesTheLargestLogit(float logit)
    {
        foreach (float temperature in new[] { 0f, 1f })
        {
            EngineException e = Assert.Throws<EngineException>(
                () => Sampler.Next([float.NegativeInfinity, logit], [], new() { Temperature = temperature }, 0));
            Assert.Equal(EngineError.ModelFailure, e.Error);
            Assert.Contains($"the largest logit is {(float.IsNegativeInfinity(logit) ? float.NegativeInfinity : logit)} (token", e.Message, StringComparison.Ordinal);
        }
    }

    private static long Allocated(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>The tokens that some of many draws gave.</summary>
    private static IEnumerable<int> Drawn(float[] row, SamplingOptions options) =>
        Enumerable.Range(0, 600).Select(position => Sampler.Next(row, [], options, position)).Distinct().Order();

    private static double Deviation(double observed, double expected) => (observed - expected) * (observed - expected) / expected;
}
