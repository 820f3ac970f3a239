using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Endpoints;

/// <summary>An expert that is a weighted merge of patches, from catalog.json to the answer.</summary>
public sealed class PatchedExpertTests : IAsyncLifetime
{
    private readonly RunningGateway gateway = new();

    public Task InitializeAsync()
    {
        TinyFamily family = gateway.Family;
        TinyPatch.Write(family.PathOf("patches", "one"), family.PathOf(TinyFamily.AntiExpert), 1, "q_proj", "v_proj", "down_proj");
        TinyPatch.Write(family.PathOf("patches", "two"), family.PathOf(TinyFamily.AntiExpert), 2, "o_proj", "gate_proj");
        family.WriteCatalogText("""
            {"served_models":[{"name":"mixed","base":"base","method":"proxy","experts":[{"name":"mix","model":"small","anti_expert":"small",
             "patches":[{"patch":"one","weight":0.75},{"patch":"two","weight":-0.5}]}]}]}
            """);
        return gateway.InitializeAsync();
    }

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Fact]
    public async Task Text_MergedExpert_ScoresAsTheDenseSumsInPlainLoops()
    {
        int[] ids;
        using (Tokenizer tokenizer = Tokenizer.Load(gateway.Family.PathOf(TinyFamily.Base)))
        {
            ids = tokenizer.Encode("Where is it?");
        }

        JsonElement answer = await gateway.AnswerAsync("/v1/completions", new { model = "mixed", prompt = ids, max_tokens = 0, echo = true, logprobs = 0 });

        string dense = gateway.Family.PathOf("dense");
        TinyPatch.WriteDense(
            dense, gateway.Family.PathOf("small"), (gateway.Family.PathOf("patches", "one"), 0.75), (gateway.Family.PathOf("patches", "two"), -0.5));
        double[][][] rows = [.. new[] { gateway.Family.PathOf("base"), dense, gateway.Family.PathOf("small") }.Select(folder => new SlowLlama(folder).Logits(ids))];
        for (int i = 1; i < ids.Length; i++)
        {
            double[] row = [.. rows[0][i - 1].Select((logit, id) => logit + rows[1][i - 1][id] - rows[2][i - 1][id])];
            double expected = row[ids[i]] - Math.Log(row.Sum(Math.Exp));
            Assert.Equal(expected, answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("token_logprobs")[i].GetDouble(), 1e-5 * row.Max(Math.Abs));
        }
    }
}
