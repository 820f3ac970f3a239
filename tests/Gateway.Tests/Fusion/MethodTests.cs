using System.Text.Json;
using ProxyTune.Testing;
using static ProxyTune.Gateway.Tests.Fusion.Equations;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Compares the server's log-probabilities with the equations of the methods over the rows of the models.</summary>
[Collection(MethodsCollection.Name)]
public class MethodTests(MethodsGateway gateway)
{
    private static readonly Dictionary<string, Case> Cases = new()
    {
        ["none by request"] = new(MethodsGateway.Any, """{"method":"none"}""", m => m.Base),
        ["proxy by catalog"] = new(MethodsGateway.Any, null, m => Proxy(m, 1, 1, 0)),
        ["proxy, two experts"] = new(MethodsGateway.Any, """{"alpha":0.7,"experts":{"qa":1.2,"poet":0.5}}""", m => Proxy(m, 0.7, 1.2, 0.5)),
        ["proxy, weight below 0"] = new(MethodsGateway.Any, """{"alpha":1.5,"experts":{"qa":-0.5}}""", m => Proxy(m, 1.5, -0.5, 0)),
        ["proxy, alpha below 0"] = new(MethodsGateway.Any, """{"alpha":-1}""", m => Proxy(m, -1, 1, 0)),
        ["proxy, alpha 0"] = new(MethodsGateway.Any, """{"alpha":0}""", m => m.Base),
        ["proxy, all weights 0"] = new(MethodsGateway.Any, """{"experts":{"qa":0}}""", m => m.Base),
        ["proxy, ratio"] = new(MethodsGateway.Any, """{"mask":{"kind":"ratio","ratio":0.4}}""", m => Keep(Proxy(m, 1, 1, 0), Ratio(m.Base, 0.4))),
        ["proxy, nucleus of base"] = new(MethodsGateway.Any, """{"mask":{"kind":"nucleus","p":0.05}}""", m => Keep(Proxy(m, 1, 1, 0), Nucleus(m.Base, 0.05))),
        ["proxy, nucleus of expert"] = new(MethodsGateway.Any, """{"mask":{"kind":"nucleus","p":0.05,"of":"expert"}}""", m => Keep(Proxy(m, 1, 1, 0), Nucleus(m.Qa, 0.05))),
        ["proxy, nucleus of an expert that is off"] = new(MethodsGateway.Any, """{"alpha":0,"mask":{"kind":"nucleus","p":0.05,"of":"expert"}}""", m => m.Base),
        ["proxy, nucleus of base, expert off"] = new(MethodsGateway.Any, """{"alpha":0,"mask":{"kind":"nucleus","p":0.05}}""", m => Keep(m.Base, Nucleus(m.Base, 0.05))),
        ["proxy, one candidate"] = new(MethodsGateway.Any, """{"mask":{"kind":"ratio","ratio":1}}""", m => Keep(Proxy(m, 1, 1, 0), Top(m.Base, 1))),
        ["proxy, union of top k"] = new(
            MethodsGateway.Any,
            """{"experts":{"poet":1},"mask":{"kind":"top_k","k":3}}""",
            m => Keep(Proxy(m, 1, 1, 1), [.. Top(m.Base, 3), .. Top(m.Qa, 3), .. Top(m.Poet, 3)])),
        ["proxy, top k and schedule by catalog"] = new("by-proxy", null, m => Keep(Proxy(m, 0.25, 1, 0), [.. Top(m.Base, 4), .. Top(m.Qa, 4)])),
        ["eft, interpolated"] = new(MethodsGateway.Any, """{"method":"eft","alpha":0.8,"experts":{"qa":0.3,"poet":0.7}}""", m => Eft(m, 0.8, 0.3, 0.7, 1)),
        ["eft, normalised"] = new(MethodsGateway.Any, """{"method":"eft","normalise":true,"experts":{"qa":1.2,"poet":0.4}}""", m => Eft(m, 1, 0.75, 0.25, 1)),
        ["eft, amplified"] = new(MethodsGateway.Any, """{"method":"eft","amplification":1.5}""", m => Eft(m, 1, 1, 0, 1.5)),
        ["eft, amplification alone"] = new(MethodsGateway.Any, """{"method":"eft","alpha":0,"amplification":1.5}""", m => Eft(m, 0, 0, 0, 1.5)),
        ["eft, weakened"] = new(MethodsGateway.Any, """{"method":"eft","amplification":0.5}""", m => Eft(m, 1, 1, 0, 0.5)),
        ["eft, delta mask by catalog"] = new("by-eft", null, m => OutsideNucleus(Eft(m, 0.8, 1, 0, 1.5), m.Qa, 0.6)),
        ["eft, delta mask, expert off"] = new(MethodsGateway.Any, """{"method":"eft","alpha":0,"mask":{"kind":"delta","p":0.6}}""", m => m.Base),
        ["dynamic by catalog"] = new("by-dynamic", null, m => Dynamic(m.Base, m.Small, 2, m.Qa)),
        ["dynamic, best of two"] = new(
            MethodsGateway.Any, """{"method":"dynamic","mode":"single","search":"grid","experts":{"poet":1}}""", m => Dynamic(m.Base, m.Small, 3, m.Qa, m.Poet)),
        ["dynamic, the other expert"] = new(
            MethodsGateway.Any, """{"method":"dynamic","mode":"single","search":"grid","experts":{"qa":0,"poet":1}}""", m => Dynamic(m.Base, m.Small, 3, m.Poet)),
        ["dynamic, no expert"] = new(MethodsGateway.Any, """{"method":"dynamic","experts":{"qa":0}}""", m => m.Base),
        ["dexperts by catalog"] = new("by-dexperts", null, m => Keep(Proxy(m, 1.6, 1, 0), Nucleus(m.Base, 0.9))),
        ["dexperts by request"] = new(MethodsGateway.Any, """{"method":"dexperts"}""", m => Keep(Proxy(m, 2, 1, 0), Nucleus(m.Base, 0.9))),
        ["contrastive by catalog"] = new("by-contrastive", null, m => Keep(Sum((1, m.Base), (-0.5, m.Small)), Ratio(m.Base, 0.1))),
        ["contrastive by request"] = new(
            MethodsGateway.Any, """{"method":"contrastive","mask":{"kind":"none"}}""", m => Sum((1, m.Base), (-1, m.Small))),
        ["context_aware by catalog"] = new("by-context", null, m => Sum((1.5, m.BaseInContext), (-0.5, m.Base)), InContext: true),
        ["context_aware by request"] = new(
            MethodsGateway.Any, """{"method":"context_aware","alpha":0.9}""", m => Sum((1.9, m.BaseInContext), (-0.9, m.Base)), InContext: true),
        ["divergence by catalog"] = new("by-divergence", null, m => WithSpecialTokensOf(m.Base, Ban(Proxy(m, 1.5, 1, 0), Top(Sum((1, m.Small), (-1, m.Qa)), 5)))),
        ["divergence by request"] = new(MethodsGateway.Any, """{"method":"divergence"}""", m => Proxy(m, 1.5, 1, 0)),
        ["divergence, rank"] = new(
            MethodsGateway.Any, """{"method":"divergence","mask":{"kind":"rank"}}""", m => Ban(Proxy(m, 1.5, 1, 0), Top(Sum((1, m.Small), (-1, m.Qa)), 20))),
        ["divergence, rank alone"] = new(
            MethodsGateway.Any, """{"method":"divergence","alpha":0,"mask":{"kind":"rank","k":3}}""", m => Ban(m.Base, Top(Sum((1, m.Small), (-1, m.Qa)), 3))),
        ["divergence, special tokens as the base has them"] = new(
            MethodsGateway.Any, """{"method":"divergence","special_tokens":"base"}""", m => WithSpecialTokensOf(m.Base, Proxy(m, 1.5, 1, 0))),
        ["portable_reward by catalog"] = new(MethodsGateway.Reward, null, m => Sum((1, m.Base), (1, m.Qa))),
        ["portable_reward by request"] = new(MethodsGateway.Reward, """{"alpha":0.5,"experts":{"helper":1.5}}""", m => Sum((1, m.Base), (0.75, m.Qa))),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Chat_AnyMethod_HasTheLogprobsOfItsEquation(string name)
    {
        Case given = Cases[name];
        JsonElement answer = await AskAsync(given, given.Fusion);

        using MemberRows members = new(gateway.Server.Family, []);
        AssertLogprobs(given.Expected(members), answer, members);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Chat_AppliedFusionSentAgain_GivesTheSameAnswer(string name)
    {
        Case given = Cases[name];
        JsonElement first = await AskAsync(given, given.Fusion);
        JsonElement second = await AskAsync(given, first.GetProperty("fusion").GetRawText());

        Assert.Equal(first.GetProperty("fusion").GetRawText(), second.GetProperty("fusion").GetRawText());
        Assert.Equal(first.GetProperty("choices").GetRawText(), second.GetProperty("choices").GetRawText());
    }

    /// <summary>Checks that the chosen factors are the fused ones. Other tests check how dynamic fusion chooses them.</summary>
    [Theory]
    [InlineData("single", "closed_form")]
    [InlineData("joint", "closed_form")]
    [InlineData("joint", "grid")]
    public async Task Chat_Dynamic_FusesWithTheWeightsThatItReports(string mode, string search)
    {
        JsonElement answer = await gateway.AskAsync(
            MethodsGateway.Any, $$"""{"method":"dynamic","mode":"{{mode}}","search":"{{search}}","experts":{"poet":1},"trace":true}""");
        JsonElement weights = answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("tokens")[0].GetProperty("weights");

        using MemberRows members = new(gateway.Server.Family, []);
        AssertLogprobs(Proxy(members, 1, weights.GetProperty("qa").GetDouble(), weights.GetProperty("poet").GetDouble()), answer, members);
    }

    internal static double[] Proxy(MemberRows m, double alpha, double qa, double poet) =>
        Sum((1, m.Base), (alpha * qa, m.Qa), (-alpha * qa, m.Small), (alpha * poet, m.Poet), (-alpha * poet, m.Small));

    internal static void AssertLogprobs(double[] expected, JsonElement answer, MemberRows members, int position = 0)
    {
        double[] logprobs = LogSoftmax(expected);
        JsonElement token = answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[position];
        JsonElement[] top = [.. token.GetProperty("top_logprobs").EnumerateArray()];
        double[] likeliest = [.. logprobs.Where(double.IsFinite).OrderDescending().Take(20)];
        Assert.Equal(likeliest.Length, top.Length);
        Assert.All([token, .. top], one => Assert.Equal(logprobs[members.IdOf(Bytes(one))], one.GetProperty("logprob").GetDouble(), 1e-4));
        Assert.All(likeliest.Zip(top), pair => Assert.Equal(pair.First, pair.Second.GetProperty("logprob").GetDouble(), 1e-4));
    }

    private static double[] Eft(MemberRows m, double beta, double qa, double poet, double amplification)
    {
        double[] anti = LogSoftmax(m.Small), large = LogSoftmax(m.Base);
        return Sum(
            (1, large),
            (beta * qa, LogSoftmax(m.Qa)),
            (beta * poet, LogSoftmax(m.Poet)),
            (-beta * (qa + poet), anti),
            (amplification - 1, large),
            (1 - amplification, anti));
    }

    private static double[] Ban(double[] fused, IEnumerable<int> banned) => Keep(fused, [.. Enumerable.Range(0, fused.Length).Except(banned)]);

    private static double[] WithSpecialTokensOf(double[] @base, double[] fused)
    {
        double[] p = [.. LogSoftmax(@base).Select(Math.Exp)], q = [.. LogSoftmax(fused).Select(Math.Exp)];
        int special = TinyTokenizer.Special.Length;
        double rest = p.Skip(special).Sum() / q.Skip(special).Sum();
        return [.. q.Select((share, id) => Math.Log(id < special ? p[id] : share * rest))];
    }

    private static double[] OutsideNucleus(double[] fused, double[] expert, double probability)
    {
        HashSet<int> nucleus = [.. Nucleus(expert, probability)];
        double[] logprobs = LogSoftmax(expert);
        return [.. fused.Select((logit, id) => nucleus.Contains(id) ? logit : logprobs[id])];
    }

    private static IEnumerable<byte> Bytes(JsonElement token) => token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte());

    private Task<JsonElement> AskAsync(Case given, string? fusion) => gateway.AskAsync(
        given.Model, fusion, messages: given.InContext ? new object[] { new { role = "user", name = "context", content = "The cat sat." }, new { role = "user", content = "Where?" } } : null);

    private sealed record Case(string Model, string? Fusion, Func<MemberRows, double[]> Expected, bool InContext = false);
}
