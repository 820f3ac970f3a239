using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Generation;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Tests identities of the equations: distributions that must be equal for any rows.</summary>
public sealed class FusionIdentitiesTests : IDisposable
{
    private static readonly int[] Text = [1, 2, 3];

    private readonly FakeFamily family = new();

    public void Dispose() => family.Dispose();

    [Theory]
    [InlineData("proxy", 0.4)]
    [InlineData("eft", 1)]
    [InlineData("dexperts", 3)]
    public void ExpertIsAntiExpert_AnyStrength_EqualsTheBase(string method, double alpha)
    {
        ServedModel served = family.Served("large", [family.Expert("small", "small")]);
        Same(Base(served), Distributions(served, With(method, alpha, "small")));
    }

    [Fact]
    public void ExpertIsAntiExpert_Amplified_EqualsTheEquation()
    {
        ServedModel served = family.Served("large", [family.Expert("small", "small")]);
        AskedFusion amplified = With("eft", 1, "small") with { Amplification = 1.5 };
        double[][] actual = Distributions(served, amplified), masked = Distributions(served, amplified with { Mask = FusionCases.Masks["delta"] });
        for (int i = 0; i < actual.Length; i++)
        {
            OracleRows rows = RowsAfter(served, i);
            AskedFusion settled = served.Plan(amplified, CallerRole.Operator).Settled.Values;
            Close(FusionOracle.Token(settled, rows, i).Row, actual[i]);
            Close(FusionOracle.Token(settled with { Mask = FusionCases.Masks["delta"] }, rows, i).Row, masked[i]);
        }
    }

    [Fact]
    public void StrengthZero_AnyMethod_EqualsTheBase()
    {
        AskedFusion[] off =
        [
            With("proxy", 0, "one"), With("proxy", 1, "one") with { Experts = Weights(("one", 0)) }, With("eft", 0, "one"), With("dexperts", 0, "one"),
            new() { Method = "contrastive", Alpha = 0 }, new() { Method = "context_aware", Alpha = 0 },
        ];
        foreach (AskedFusion settings in off)
        {
            Same(Base(family.Pairs), Distributions(family.Pairs, settings));
        }

        Same(Base(family.Rewards), Distributions(family.Rewards, With("portable_reward", 0, "one")));
    }

    [Fact]
    public void BaseIsAntiExpert_StrengthOne_EqualsTheExpert()
    {
        ServedModel served = family.Served("large", [family.Expert("large-tuned", "large")]), tuned = family.Served("large-tuned", []);
        Same(Base(tuned), Distributions(served, With("proxy", 1, "large-tuned")));
        Same(Base(tuned), Distributions(served, With("eft", 1, "large-tuned")));
    }

    [Fact]
    public void Eft_AnyStrength_EqualsProxyOfThatStrength() =>
        Same(Distributions(family.Pairs, With("proxy", 0.7, "one")), Distributions(family.Pairs, With("eft", 0.7, "one")));

    [Fact]
    public void Eft_AmplificationOne_EqualsPlainEft() =>
        Same(Distributions(family.Pairs, With("eft", 0.7, "one")), Distributions(family.Pairs, With("eft", 0.7, "one") with { Amplification = 1 }));

    [Fact]
    public void Eft_Amplified_AddsAMultipleOfTheScaleDelta()
    {
        double[][] actual = Distributions(family.Pairs, With("eft", 1, "one") with { Amplification = 1.6 });
        for (int i = 0; i < actual.Length; i++)
        {
            OracleRows rows = RowsAfter(family.Pairs, i);
            double[] plus = Distribution.Logprobs(rows.Experts[0].Plus), minus = Distribution.Logprobs(rows.Experts[0].Minus!), large = Distribution.Logprobs(rows.Base);
            Close([.. plus.Select((p, x) => double.IsFinite(p + large[x] + minus[x]) ? p + (1.6 * (large[x] - minus[x])) : double.NegativeInfinity)], actual[i]);
        }
    }

    [Fact]
    public void DeltaMask_OfProbabilityOne_MasksNothing() => Same(
        Distributions(family.Pairs, With("eft", 1, "one") with { Amplification = 1.3 }),
        Distributions(family.Pairs, With("eft", 1, "one") with { Amplification = 1.3, Mask = new() { Kind = "delta", P = 1 } }));

    [Fact]
    public void NormalisedRows_AnyMethod_GiveTheSameDistributions()
    {
        using FakeFamily normalised = new(row =>
        {
            double[] logprobs = Distribution.Logprobs([.. row.ToArray().Select(s => (double)s)]);
            for (int i = 0; i < row.Length; i++)
            {
                row[i] = (float)logprobs[i];
            }
        });
        foreach (AskedFusion method in FusionCases.Methods)
        {
            // Equal differences of two rows, which the rank mask compares, do not stay equal when rounded.
            foreach (MaskSettings mask in FusionCases.Masks.Values.Where(mask => FusionCases.Fits(method, mask) && mask.Kind != "rank"))
            {
                Same(Distributions(family.Pairs, method with { Mask = mask }), Distributions(normalised.Pairs, method with { Mask = mask }, normalised), 1e-3);
            }
        }
    }

    [Fact]
    public void Row_ToScale_IsTheSumOfTheEquation()
    {
        foreach (AskedFusion method in FusionCases.Methods.Concat(FusionCases.Rewards).Where(method => method.Method is "eft" or "contrastive" or "portable_reward" && method.SpecialTokens is null))
        {
            foreach (MaskSettings mask in FusionCases.Masks.Values.Where(mask => FusionCases.Fits(method, mask)))
            {
                ServedModel served = method.Method == "portable_reward" ? family.Rewards : family.Pairs;
                AskedFusion settled = served.Plan(method with { Mask = mask }, CallerRole.Operator).Settled.Values;
                float[][] actual = RowsOf(served, method with { Mask = mask }, toScale: true);
                for (int i = 0; i < actual.Length; i++)
                {
                    OracleRows rows = RowsAfter(served, i);
                    OracleToken expected = FusionOracle.Token(settled, rows, i);

                    // The oracle adds log-probabilities of all streams, and a reward is a logit.
                    double rewards = method.Method == "portable_reward" ? rows.Experts.Sum(expert => expected.Weights.GetValueOrDefault(expert.Name) * Distribution.Normaliser(expert.Plus)) : 0;
                    for (int id = 0; id < expected.Row.Length; id++)
                    {
                        double wanted = expected.Row[id] + rewards;
                        Assert.True(wanted == actual[i][id] || Math.Abs(wanted - actual[i][id]) < 1e-3, $"Token {id} of row {i} is {actual[i][id]}, and {wanted} is expected: {settled}");
                    }
                }
            }
        }
    }

    [Fact]
    public void Row_OfLogitsToScale_IsUnchanged()
    {
        AskedFusion proxy = With("proxy", 0.7, "one");
        Assert.Equal(RowsOf(family.Pairs, proxy, toScale: false).SelectMany(row => row), RowsOf(family.Pairs, proxy, toScale: true).SelectMany(row => row));
    }

    [Theory]
    [InlineData("eft")]
    [InlineData("contrastive")]
    public async Task RepetitionPenalty_MethodOfLogprobs_MultipliesLogprobs(string method)
    {
        const double Penalty = 1.5;
        AskedFusion asked = method == "eft" ? With("eft", 0.6, "one") : new() { Method = method, Mask = MaskSettings.None };
        ServedPlan plan = family.Pairs.Plan(asked, CallerRole.Operator);
        await using DecodeScheduler scheduler = new(family.Ensemble, new());

        List<GeneratedToken> answer = await Answers.Collect(scheduler, new()
        {
            Prompt = FakeFamily.PromptOf(plan.LoadPatches()),
            Sampling = new() { Temperature = 0, RepetitionPenalty = (float)Penalty },
            MaxTokens = 40,
            IgnoreEndOfText = true,
        });

        List<int> expected = [];
        for (int i = 0; i < 40; i++)
        {
            double[] row = FusionOracle.Token(plan.Settled.Values, FakeFamily.RowsAfter(family.Pairs, expected), i).Row;
            expected.Add(Distribution.Likeliest([.. row.Select((score, id) => !expected.Contains(id) ? score : score > 0 ? score / Penalty : score * Penalty)]));
        }

        Assert.Equal(expected, answer.Select(token => token.Id));
        Assert.InRange(expected.Distinct().Count(), 2, 39);
    }

    [Fact]
    public async Task RepetitionPenalty_DeltaMaskOfProbabilityOne_ChangesNoToken()
    {
        await using DecodeScheduler scheduler = new(family.Ensemble, new());
        AskedFusion eft = With("eft", 1, "one") with { Amplification = 1.3 };
        for (ulong seed = 0; seed < 10; seed++)
        {
            Assert.Equal(await Penalised(eft with { Mask = MaskSettings.None }, seed), await Penalised(eft with { Mask = new() { Kind = "delta", P = 1 } }, seed));
        }

        async Task<List<int>> Penalised(AskedFusion settings, ulong seed) =>
        [
            .. (await Answers.Collect(scheduler, new()
            {
                Prompt = FakeFamily.PromptOf(family.Pairs.Plan(settings, CallerRole.Operator).LoadPatches()),
                Sampling = new() { Temperature = 0.2f, RepetitionPenalty = 1.5f, Seed = seed },
                MaxTokens = 30,
            })).Select(token => token.Id),
        ];
    }

    [Fact]
    public void Mask_AllCandidatesBanned_KeepsTheLikeliestOtherToken()
    {
        using FakeLanguageModel large = new("large", 4) { Rows = (_, row) => new float[] { 9, 0, 1, 2 }.CopyTo(row) };
        using FakeLanguageModel tuned = new("tuned", 4) { Rows = (_, row) => new[] { float.NegativeInfinity, 0, 3, 1 }.CopyTo(row) };
        using FusedModel ensemble = new("e", [large, tuned]);
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert)])
        {
            Deltas = [new("tuned", 1, null, 1)],
            Mask = new(MaskKind.Ratio, 0.5),
            Trace = true,
        };
        using Sequence sequence = ensemble.Start(new(plan, [Text, Text]));
        float[] row = Rows.Forward(ensemble, new Segment(sequence, default))[0];
        Assert.Equal([float.NegativeInfinity, float.NegativeInfinity, 4, float.NegativeInfinity], row);
        Assert.Equal(1, sequence.Explain(0, 1, row, 2)!.Kept);
    }

    private double[][] Base(ServedModel served) => Distributions(served, new() { Method = "none" });

    /// <summary>Log-probabilities at several positions. All streams have the same tokens.</summary>
    private double[][] Distributions(ServedModel served, AskedFusion settings, FakeFamily? of = null) =>
        [.. RowsOf(served, settings, of: of).Select(row => Distribution.Logprobs([.. row.Select(s => (double)s)]))];

    private float[][] RowsOf(ServedModel served, AskedFusion settings, bool toScale = false, FakeFamily? of = null)
    {
        AskedFusion unmasked = settings with { Mask = settings.Mask ?? MaskSettings.None };
        FusionPlan plan = served.Plan(unmasked, CallerRole.Operator).LoadPatches();
        FusedModel ensemble = (of ?? family).Ensemble;
        using Sequence sequence = ensemble.Start(new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)Text)]) { ToScale = toScale });
        return Rows.Forward(ensemble, new Segment(sequence, Answer, Answer.Length + 1));
    }

    private static int[] Answer => [.. Enumerable.Range(10, 20)];

    private static OracleRows RowsAfter(ServedModel served, int position) => FakeFamily.RowsAfter(served, Answer[..position], _ => Text);

    private static AskedFusion With(string method, double alpha, string expert) => new() { Method = method, Alpha = alpha, Experts = Weights((expert, 1)) };

    private static Dictionary<string, double> Weights(params (string Name, double Weight)[] weights) => weights.ToDictionary(w => w.Name, w => w.Weight);

    private static void Same(double[][] expected, double[][] actual, double tolerance = 1e-5)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Close(expected[i], actual[i], tolerance);
        }
    }

    private static void Close(double[] expected, double[] actual, double tolerance = 1e-5)
    {
        double[] logprobs = Distribution.Logprobs(expected);
        for (int id = 0; id < actual.Length; id++)
        {
            double wanted = id < expected.Length ? logprobs[id] : double.NegativeInfinity;
            Assert.True(wanted == actual[id] || Math.Abs(wanted - actual[id]) <= tolerance * Math.Max(1, Math.Abs(wanted)), $"Token {id} is {actual[id]}, and {wanted} is expected.");
        }
    }
}
