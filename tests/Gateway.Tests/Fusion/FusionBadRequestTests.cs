using System.Text;
using ProxyTune.Gateway.Tests.Endpoints;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Every mistake in fusion is a 400 that names the field, the value and what is accepted.</summary>
[Collection(MethodsCollection.Name)]
public class FusionBadRequestTests(MethodsGateway gateway)
{
    public static TheoryData<string, string, string, string[]> Settings => new()
    {
        // Unknown names and wrong types.
        { "any", """{"method":"magic"}""", "fusion.method", ["'magic'", "none, proxy, eft, dynamic, dexperts, contrastive, context_aware, portable_reward, divergence"] },
        { "any", """{"method":7}""", "fusion.method", ["7", "a string"] },
        { "any", """{"beta":1}""", "fusion.beta", ["method, alpha, experts"] },
        { "any", """{"alpha":"1"}""", "fusion.alpha", ["\"1\"", "a number"] },
        { "any", """{"experts":{"qa":"1"}}""", "fusion.experts.qa", ["\"1\"", "an object from name to a number"] },
        { "any", """{"experts":{"qa":null}}""", "fusion.experts.qa", ["null", "an object from name to a number"] },
        { "any", """{"mask":{"kind":"ratio","ratio":"x"}}""", "fusion.mask.ratio", ["\"x\"", "a number"] },
        { "any", """{"mask":{"kind":"top_k","k":2.5}}""", "fusion.mask.k", ["2.5", "an integer"] },
        { "any", """{"mask":{"kind":"ratio","share":1}}""", "fusion.mask.share", ["an object with kind, ratio, p, of, k"] },
        { "any", """{"mask":"ratio"}""", "fusion.mask", ["\"ratio\"", "an object with kind"] },
        { "any", """{"schedule":{"kind":"linear","steps":4}}""", "fusion.schedule.steps", ["an object with kind, tokens, from, threshold"] },
        { "any", """{"prompts":{"base":{"voice":"x"}}}""", "fusion.prompts.base.voice", ["template, system, assistant_prefix, examples"] },
        { "any", """{"trace":"yes"}""", "fusion.trace", ["\"yes\"", "true or false"] },
        { "any", """{"normalise":1}""", "fusion.normalise", ["1", "true or false"] },

        // Names twice.
        { "any", """{"alpha":1,"alpha":2}""", "fusion.alpha", ["twice", "one value"] },
        { "any", """{"experts":{"qa":1,"q\u0061":2}}""", "fusion.experts.qa", ["twice", "one value"] },
        { "any", """{"mask":{"kind":"none","kind":"ratio"}}""", "fusion.mask.kind", ["twice", "one value"] },

        // Numbers out of range or beyond numbers.
        { "any", """{"alpha":3.1}""", "fusion.alpha", ["3.1", "-1 to 3"] },
        { "any", """{"alpha":1e999}""", "fusion.alpha", ["-1 to 3"] },
        { "any", """{"experts":{"qa":-1e999}}""", "fusion.experts.qa", ["-1 to 2"] },
        { "any", """{"experts":{"qa":1e308}}""", "fusion.experts.qa", ["E+308", "-1 to 2"] },
        { "any", """{"mask":{"kind":"ratio","ratio":1e999}}""", "fusion.mask.ratio", ["above 0, to 1"] },
        { "any", """{"mask":{"kind":"ratio","ratio":0}}""", "fusion.mask.ratio", ["is 0", "above 0, to 1"] },
        { "any", """{"mask":{"kind":"ratio","ratio":1.01}}""", "fusion.mask.ratio", ["1.01", "above 0, to 1"] },
        { "any", """{"mask":{"kind":"ratio"}}""", "fusion.mask.ratio", ["missing", "above 0, to 1"] },
        { "any", """{"mask":{"kind":"nucleus","p":-0.1}}""", "fusion.mask.p", ["-0.1", "above 0, to 1"] },
        { "any", """{"mask":{"kind":"top_k","k":0}}""", "fusion.mask.k", ["is 0", "at least 1"] },
        { "any", """{"mask":{"kind":"top_k","k":99999999999}}""", "fusion.mask.k", ["99999999999", "an integer of at least 1, and at most 2147483647"] },
        { "any", """{"mask":{"kind":"top_p","p":0.5}}""", "fusion.mask.kind", ["'top_p'", "none, ratio, nucleus, top_k, delta or rank"] },
        { "any", """{"mask":{}}""", "fusion.mask.kind", ["missing", "none, ratio"] },
        { "any", """{"mask":{"kind":"ratio","ratio":0.5,"p":0.5}}""", "fusion.mask.p", ["0.5", "nothing", "'ratio'"] },
        { "any", """{"mask":{"kind":"nucleus","p":0.5,"of":"poet"}}""", "fusion.mask.of", ["'poet'", "base or expert"] },
        { "any", """{"schedule":{"kind":"warm_up"}}""", "fusion.schedule.tokens", ["missing", "from 1 to"] },
        { "any", """{"schedule":{"kind":"warm_up","tokens":0}}""", "fusion.schedule.tokens", ["is 0", "from 1 to"] },
        { "any", """{"schedule":{"kind":"warm_up","tokens":3000000000}}""", "fusion.schedule.tokens", ["3000000000", "from 1 to 1000000"] },
        { "any", """{"schedule":{"kind":"linear","tokens":4,"from":1.5}}""", "fusion.schedule.from", ["1.5", "from 0 to 1"] },
        { "any", """{"schedule":{"kind":"gated","threshold":0}}""", "fusion.schedule.threshold", ["is 0", "above 0, to 1"] },
        { "any", """{"schedule":{"kind":"constant","tokens":4}}""", "fusion.schedule.tokens", ["4", "nothing", "'constant'"] },
        { "any", """{"schedule":{"kind":"sudden"}}""", "fusion.schedule.kind", ["'sudden'", "constant, warm_up, linear or gated"] },

        // Fields that do not fit the method.
        { "any", """{"method":"portable_reward"}""", "fusion.method", ["portable_reward", "without anti-experts"] },
        { "reward", """{"method":"proxy"}""", "fusion.method", ["proxy", "experts with anti-experts"] },
        { "narrow", """{"method":"contrastive"}""", "fusion.method", ["contrastive", "an amateur"] },
        { "any", """{"method":"dynamic","alpha":1}""", "fusion.alpha", ["is 1", "method dynamic"] },
        { "any@0.5", """{"method":"dynamic"}""", "fusion.alpha", ["0.5", "method dynamic"] },
        { "any", """{"method":"none","alpha":1}""", "fusion.alpha", ["is 1", "method none"] },
        { "any", """{"method":"none","experts":{"qa":1}}""", "fusion.experts.qa", ["is 1", "method none"] },
        { "any", """{"method":"contrastive","experts":{"qa":1}}""", "fusion.experts.qa", ["is 1", "method contrastive"] },
        { "any", """{"method":"dynamic","experts":{"qa":0.5}}""", "fusion.experts.qa", ["0.5", "0 or 1", "method dynamic"] },
        { "any", """{"method":"dynamic","mode":"double"}""", "fusion.mode", ["'double'", "single or joint"] },
        { "any", """{"method":"dynamic","search":"guess"}""", "fusion.search", ["'guess'", "closed_form or grid"] },
        { "any", """{"method":"dynamic","floor":3.5}""", "fusion.floor", ["3.5", "0 to 3"] },
        { "any", """{"method":"dynamic","floor":-0.5}""", "fusion.floor", ["-0.5", "0 to 3"] },
        { "any", """{"floor":0.5}""", "fusion.floor", ["0.5", "method proxy"] },
        { "any", """{"mode":"joint"}""", "fusion.mode", ["'joint'", "method proxy"] },
        { "any", """{"search":"grid"}""", "fusion.search", ["'grid'", "method proxy"] },
        { "any", """{"amplification":1.5}""", "fusion.amplification", ["1.5", "method proxy"] },
        { "any", """{"normalise":true}""", "fusion.normalise", ["true", "method proxy"] },
        { "any", """{"mask":{"kind":"delta","p":0.5}}""", "fusion.mask.kind", ["'delta'", "eft", "proxy"] },
        { "any", """{"mask":{"kind":"rank"}}""", "fusion.mask.kind", ["'rank'", "divergence", "proxy"] },
        { "any", """{"method":"divergence","mask":{"kind":"rank","k":0}}""", "fusion.mask.k", ["is 0", "at least 1"] },
        { "any", """{"method":"divergence","mask":{"kind":"rank","p":0.5}}""", "fusion.mask.p", ["0.5", "nothing", "'rank'"] },
        { "reward", """{"method":"divergence"}""", "fusion.method", ["divergence", "experts with anti-experts"] },
        { "any", """{"special_tokens":"expert"}""", "fusion.special_tokens", ["'expert'", "fused or base"] },
        { "any", """{"special_tokens":true}""", "fusion.special_tokens", ["true", "a string"] },
        { "any", """{"method":"none","special_tokens":"base"}""", "fusion.special_tokens", ["'base'", "method none"] },
        { "any", """{"method":"eft","experts":{"qa":0.5,"poet":0.5},"mask":{"kind":"delta","p":0.5}}""", "fusion.mask.kind", ["'delta'", "2 experts"] },
        { "any", """{"method":"contrastive","mask":{"kind":"nucleus","p":0.5,"of":"expert"}}""", "fusion.mask.of", ["'expert'", "base", "contrastive"] },
        { "by-contrastive", """{"prompts":{"expert":{"system":"x"}}}""", "fusion.prompts.expert", ["'expert'", "base, anti_expert", "contrastive"] },

        // Weights of eft.
        { "any", """{"method":"eft","experts":{"qa":0.5,"poet":0.4}}""", "fusion.experts", ["qa=0.5, poet=0.4", "0.9", "sum to 1", "normalise: true"] },
        { "any", """{"method":"eft","experts":{"poet":0.5}}""", "fusion.experts", ["qa=1, poet=0.5", "1.5"] },
        { "any", """{"method":"eft","experts":{"qa":0,"poet":0},"normalise":true}""", "fusion.experts", ["sums to 0", "above 0"] },
        { "any", """{"method":"eft","experts":{"qa":0.375,"poet":-0.25},"normalise":true}""", "fusion.experts.qa", ["is 3", "-1 to 2"] },
        { "any", """{"method":"eft","amplification":2.5}""", "fusion.amplification", ["2.5", "0.5 to 2"] },

        // Prompts.
        { "any", """{"prompts":{"poet":{"system":"x"}}}""", "fusion.prompts.poet", ["'poet'", "base, expert, anti_expert"] },
        { "any", """{"prompts":{"base":null}}""", "fusion.prompts.base", ["missing", "an object"] },
        { "any", """{"prompts":{"base":{"template":"secret.jinja"}}}""", "fusion.prompts.base.template", ["'secret.jinja'", "chat or plain"] },
        { "any", """{"prompts":{"base":{"examples":[{"user":"x"}]}}}""", "fusion.prompts.base.examples", ["user and assistant"] },
        { "any", """{"prompts":{"base":{"examples":[null]}}}""", "fusion.prompts.base.examples", ["user and assistant"] },
        { "any", """{"method":"context_aware"}""", "messages", ["'context'", "at least one"] },
    };

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task Chat_WrongFusion_IsRefused(string model, string fusion, string field, string[] words)
    {
        using HttpResponseMessage response = await PostAsync(
            "/v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}],"fusion":{{fusion}}}""");

        await BadRequestTests.AssertErrorAsync(response, 400, field, "invalid_value", words);
    }

    [Fact]
    public async Task Chat_OnlyContext_IsRefused()
    {
        using HttpResponseMessage response = await PostAsync(
            "/v1/chat/completions", """{"model":"by-context","messages":[{"role":"user","name":"context","content":"hi"}]}""");

        await BadRequestTests.AssertErrorAsync(response, 400, "messages", "invalid_value", ["1 of 1", "'context'", "at least one other"]);
    }

    [Theory]
    [InlineData("by-context", "null", "fusion.method", "needs messages")]
    [InlineData("any", """{"method":"context_aware"}""", "fusion.method", "needs messages")]
    [InlineData("any", """{"prompts":{"base":{"system":"x"}}}""", "fusion.prompts", "messages")]
    public async Task Text_FieldThatNeedsAConversation_IsRefused(string model, string fusion, string field, string words)
    {
        using HttpResponseMessage response = await PostAsync("/v1/completions", $$"""{"model":"{{model}}","prompt":"hi","fusion":{{fusion}}}""");

        await BadRequestTests.AssertErrorAsync(response, 400, field, "invalid_value", [words]);
    }

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        gateway.Server.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));
}
