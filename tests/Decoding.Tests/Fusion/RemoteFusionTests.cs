using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares a base that reports the 8 likeliest of 32 tokens with the same base with whole rows, in every kind of plan that it can serve.</summary>
public sealed class RemoteFusionTests : IDisposable
{
    private const int Width = 32;
    private readonly FakeLanguageModel whole = new("base", Width) { Rows = Sharp("base", 1.5f) };
    private readonly FakeLanguageModel remote = new("base", Width) { Rows = Sharp("base", 1.5f), TopTokens = 8 };
    private readonly FakeLanguageModel tuned = new("tuned", Width) { Rows = Sharp("tuned", 0.7f) };
    private readonly FakeLanguageModel untuned = new("untuned", Width) { Rows = Sharp("untuned", 0.7f) };
    private readonly FusedModel ensemble;

    public RemoteFusionTests() => ensemble = new("ensemble", [whole, remote, tuned, untuned]);

    private static readonly Dictionary<string, (float Alpha, float? Amplification, CandidateMask Mask)> All = new()
    {
        ["base alone"] = (0, null, CandidateMask.None),
        ["proxy"] = (1, null, CandidateMask.None),
        ["anti-expert only"] = (1.3f, null, CandidateMask.None),
        ["amplified"] = (1, 0.4f, CandidateMask.None),
        ["ratio"] = (1, null, new(MaskKind.Ratio, 0.1)),
        ["small ratio"] = (1, null, new(MaskKind.Ratio, 1e-6)),
        ["nucleus"] = (1, null, new(MaskKind.Nucleus, 0.5)),
        ["wide nucleus"] = (1, null, new(MaskKind.Nucleus, 0.999)),
        ["expert's nucleus"] = (1, null, new(MaskKind.Nucleus, 0.9, MaskOrigin.Expert)),
        ["top-k"] = (1, null, new(MaskKind.TopK, 3)),
    };

    public static TheoryData<string> Plans => [.. All.Keys];

    public void Dispose()
    {
        ensemble.Dispose();
        whole.Dispose();
        remote.Dispose();
        tuned.Dispose();
        untuned.Dispose();
    }

    [Theory]
    [MemberData(nameof(Plans))]
    public void Forward_RemoteBase_StaysWithinTheBoundOfTheWholeBase(string kind)
    {
        (float alpha, float? amplification, CandidateMask mask) = All[kind];
        double tightest = 1;
        for (int i = 0; i < 200; i++)
        {
            (double[] expected, _) = Row(Plan(whole, kind, alpha, amplification, mask), i);
            (double[] actual, MissingBound? bound) = Row(Plan(remote, kind, alpha, amplification, mask), i);
            double distance = expected.Zip(actual, (p, q) => Math.Abs(p - q)).Sum() / 2;
            Assert.InRange(distance, 0, bound!.Value.TotalVariation + 1e-5);
            Assert.True(!bound.Value.KeepsLikeliest || Likeliest(expected) == Likeliest(actual), $"{kind}, case {i}");
            tightest = Math.Min(tightest, bound.Value.TotalVariation);
        }

        // Where a mask excludes all that is missing, nothing can be wrong.
        Assert.InRange(tightest, 0, kind is "ratio" or "nucleus" ? 0 : 0.3);
    }

    [Fact]
    public void Explain_WholeBase_HasNoBound() => Assert.Null(Row(Plan(whole, "proxy", 1, null, CandidateMask.None), 0).Bound);

    [Fact]
    public void Explain_RemoteBase_ReportsTheRemotesLogprob()
    {
        (double[] expected, _) = Row(Plan(whole, "base alone", 0, null, CandidateMask.None), 3);
        int likeliest = Likeliest(expected);
        TokenTrace trace = Trace(Plan(remote, "proxy", 1, null, CandidateMask.None), 3, likeliest);
        Assert.Equal(likeliest, trace.BaseChoice);
        Assert.Equal(Math.Log(expected[likeliest]), trace.BaseChoiceLogprob, 1e-5);
        Assert.Equal(Math.Log(expected[likeliest]), trace.Streams["base"], 1e-5);
    }

    [Fact]
    public void Explain_RemoteDroppedItsLikeliestToken_BoundsAllThatHasNoMask()
    {
        using FakeLanguageModel dropping = new("base", Width) { Rows = Sharp("base", 1.5f), TopTokens = 8, DropsLikeliest = true };
        using FusedModel own = new("own", [dropping, tuned, untuned]);
        for (int i = 0; i < 50; i++)
        {
            (double[] expected, _) = Row(Plan(whole, "proxy", 1, null, CandidateMask.None), i);
            (double[] actual, MissingBound? bound) = Row(Plan(dropping, "proxy", 1, null, CandidateMask.None), i, own);
            Assert.InRange(expected.Zip(actual, (p, q) => Math.Abs(p - q)).Sum() / 2, 0, bound!.Value.TotalVariation + 1e-5);
            Assert.InRange(bound.Value.TotalVariation, 0, 1 - 1e-6);

            // No mask of the base can be known: it begins at a token that is missing.
            foreach (CandidateMask mask in new CandidateMask[] { new(MaskKind.Ratio, 0.1), new(MaskKind.Nucleus, 0.01), new(MaskKind.TopK, 3) })
            {
                Assert.Equal(MissingBound.Unknown(bound.Value.Mass), Row(Plan(dropping, "proxy", 1, null, mask), i, own).Bound);
            }
        }
    }

    [Fact]
    public void Explain_ExpertBansTheLikeliestTokenOfTheRemote_MaskIsUnsure()
    {
        using FakeLanguageModel banning = new("banning", Width)
        {
            Rows = (tokens, row) =>
            {
                Sharp("base", 1.5f)(tokens, row);
                row[row.IndexOf(row.ToArray().Max())] = float.NegativeInfinity;
            },
        };
        using FusedModel own = new("own", [remote, banning, untuned]);
        FusionPlan plan = Plan(remote, "proxy", 1, null, new(MaskKind.Ratio, 0.1));
        plan = plan with { Streams = [plan.Streams[0], new(banning, StreamRole.Expert), plan.Streams[2]] };
        MissingBound bound = Row(plan, 3, own).Bound!.Value;
        Assert.Equal(MissingBound.Unknown(bound.Mass), bound);
    }

    [Fact]
    public void Explain_MissingTokensAreAsLikelyAsTheLikeliest_RatioOfOneKeepsThem()
    {
        using FakeLanguageModel flat = new("flat", Width) { Rows = (_, row) => row[4..].Fill(-30), TopTokens = 2 };
        using FusedModel own = new("own", [flat, tuned, untuned]);
        MissingBound bound = Row(Plan(flat, "base alone", 0, null, new(MaskKind.Ratio, 1)), 0, own).Bound!.Value;
        Assert.Equal((0.5, 0.5), (Math.Round(bound.Mass, 4), Math.Round(bound.TotalVariation, 4)));
    }

    [Fact]
    public void Explain_PlansOneAfterTheOther_HaveTheBoundsThatTheyHaveAlone()
    {
        FusionPlan proxy = Plan(remote, "proxy", 1, null, CandidateMask.None), half = Plan(remote, "proxy", 0.5f, null, CandidateMask.None);
        FusionPlan alone = Plan(remote, "base alone", 0, null, CandidateMask.None);
        MissingBound?[] together = [.. new[] { proxy, half, alone }.Select(plan => Row(plan, 3).Bound)];
        for (int i = 0; i < together.Length; i++)
        {
            using FusedModel own = new("own", [remote, tuned, untuned]);
            Assert.Equal(Row(new[] { proxy, half, alone }[i], 3, own).Bound, together[i]);
        }
    }

    private FusionPlan Plan(ILanguageModel baseModel, string kind, float alpha, float? amplification, CandidateMask mask)
    {
        List<FusionDelta> deltas = [kind == "anti-expert only" ? new("amateur", null, 2, alpha) : new("expert", 1, 2, alpha)];
        if (amplification is { } size)
        {
            deltas.Add(new("size", 0, 2, size));
        }

        return new([new(baseModel, StreamRole.Base, 1), new(tuned, StreamRole.Expert), new(untuned, StreamRole.AntiExpert)]) { Deltas = deltas, Mask = mask, Trace = true };
    }

    private (double[] Probabilities, MissingBound? Bound) Row(FusionPlan plan, int seed, FusedModel? own = null)
    {
        using Sequence sequence = Start(plan, seed, own ?? ensemble, out float[] row);
        double sum = row.Sum(score => Math.Exp(score));
        return ([.. row.Select(score => Math.Exp(score) / sum)], sequence.Explain(0, 1, row, 0)!.Missing);
    }

    private TokenTrace Trace(FusionPlan plan, int seed, int token)
    {
        using Sequence sequence = Start(plan, seed, ensemble, out float[] row);
        return sequence.Explain(0, 1, row, token)!;
    }

    private static Sequence Start(FusionPlan plan, int seed, FusedModel ensemble, out float[] row)
    {
        ReadOnlyMemory<int> prompt = new[] { seed, 1 };
        Sequence sequence = ensemble.Start(new Prompt(plan, [prompt, prompt, prompt]));
        row = new float[Width];
        ensemble.Forward([new(sequence, default)], row);
        Assert.Null(sequence.Fault);
        return sequence;
    }

    private static int Likeliest(double[] row) => Array.IndexOf(row, row.Max());

    private static Action<IReadOnlyList<int>, Span<float>> Sharp(string name, float scale) => (tokens, row) =>
    {
        Random random = new(HashCode.Combine(tokens[0], name.Length));
        foreach (ref float score in row)
        {
            score = (float)((random.NextDouble() - 0.5) * 8 * scale);
        }
    };
}
