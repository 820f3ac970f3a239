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

        Assert.InRange(tightest, 0, 0.3);
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

    private FusionPlan Plan(ILanguageModel baseModel, string kind, float alpha, float? amplification, CandidateMask mask)
    {
        List<FusionDelta> deltas = [kind == "anti-expert only" ? new("amateur", null, 2, alpha) : new("expert", 1, 2, alpha)];
        if (amplification is { } size)
        {
            deltas.Add(new("size", 0, 2, size));
        }

        return new([new(baseModel, StreamRole.Base, 1), new(tuned, StreamRole.Expert), new(untuned, StreamRole.AntiExpert)]) { Deltas = deltas, Mask = mask, Trace = true };
    }

    private (double[] Probabilities, MissingBound? Bound) Row(FusionPlan plan, int seed)
    {
        using Sequence sequence = Start(plan, seed, out float[] row);
        double sum = row.Sum(score => Math.Exp(score));
        return ([.. row.Select(score => Math.Exp(score) / sum)], sequence.Explain(0, 1, row, 0)!.Missing);
    }

    private TokenTrace Trace(FusionPlan plan, int seed, int token)
    {
        using Sequence sequence = Start(plan, seed, out float[] row);
        return sequence.Explain(0, 1, row, token)!;
    }

    private Sequence Start(FusionPlan plan, int seed, out float[] row)
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
