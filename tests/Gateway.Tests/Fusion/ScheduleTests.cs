using System.Text.Json;
using static ProxyTune.Gateway.Tests.Fusion.Equations;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Compares the strength of each token of an answer with the equations.</summary>
[Collection(MethodsCollection.Name)]
public class ScheduleTests(MethodsGateway gateway)
{
    [Theory]
    [InlineData("""{"kind":"constant"}""", 1.0, 1.0, 1.0, 1.0)]
    [InlineData("""{"kind":"warm_up","tokens":2}""", 0.0, 0.0, 1.0, 1.0)]
    [InlineData("""{"kind":"linear","tokens":2,"from":0.5}""", 0.5, 0.75, 1.0, 1.0)]
    [InlineData("""{"kind":"linear","tokens":3}""", 0.0, 1 / 3.0, 2 / 3.0, 1.0)]
    public async Task Chat_Schedule_ScalesTheStrengthOfEachToken(string schedule, params double[] factors)
    {
        const double Alpha = 1.4;
        JsonElement answer = await gateway.AskAsync(MethodsGateway.Any, $$"""{"alpha":{{Alpha}},"schedule":{{schedule}},"trace":true}""", factors.Length);
        JsonElement[] trace = [.. answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("tokens").EnumerateArray()];
        int[] ids = [.. trace.Select(token => token.GetProperty("id").GetInt32())];

        for (int i = 0; i < factors.Length; i++)
        {
            using MemberRows members = new(gateway.Server.Family, ids[..i]);
            Assert.Equal(Alpha * factors[i], trace[i].GetProperty("weights").GetProperty("qa").GetDouble(), 1e-6);
            MethodTests.AssertLogprobs(MethodTests.Proxy(members, Alpha * factors[i], 1, 0), answer, members, i);
        }
    }

    [Fact]
    public async Task Chat_Gated_LeavesAgreedTokensToTheBaseAndTracesTheFusedChoice()
    {
        JsonElement answer = await gateway.AskAsync(MethodsGateway.Twin, """{"schedule":{"kind":"gated","threshold":0.001},"trace":true}""");
        JsonElement gate = answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("tokens")[0].GetProperty("gated");

        using MemberRows members = new(gateway.Server.Family, []);
        double[] open = Sum((2, members.Base), (-1, members.After("small", MemberRows.Plain)));
        MethodTests.AssertLogprobs(members.Base, answer, members);
        Assert.Equal(Divergence(open, members.Base), gate.GetProperty("divergence").GetDouble(), 1e-4);
        Assert.Equal(Top(open, 1).Single() != Top(members.Base, 1).Single(), gate.GetProperty("changes_choice").GetBoolean());
    }

    [Fact]
    public async Task Chat_GatedButBaseNotSure_Fuses()
    {
        JsonElement answer = await gateway.AskAsync(MethodsGateway.Twin, """{"schedule":{"kind":"gated","threshold":0.999},"trace":true}""");

        using MemberRows members = new(gateway.Server.Family, []);
        MethodTests.AssertLogprobs(Sum((2, members.Base), (-1, members.After("small", MemberRows.Plain))), answer, members);
        Assert.Equal(JsonValueKind.Null, answer.GetProperty("choices")[0].GetProperty("fusion_trace").GetProperty("tokens")[0].GetProperty("gated").ValueKind);
    }
}
