using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>Experts that are merges of patches, as operators write them into catalog.json.</summary>
public sealed class PatchedExpertTests : IDisposable
{
    private readonly TinyFamily family = new();

    public PatchedExpertTests()
    {
        TinyPatch.Write(family.PathOf("patches", "one"), family.PathOf("small"), 1, "q_proj", "up_proj");
        TinyPatch.Write(family.PathOf("patches", "two"), family.PathOf("small"), 2, "q_proj");
    }

    public static TheoryData<string, string, Action<TinyFamily>, string[]> Broken => new()
    {
        { "unknown", """[{"patch":"three"}]""", _ => { }, ["catalog.json", "no patch 'three'", "there are: one, two"] },
        { "no patches at all", """[{"patch":"one"}]""", family => Directory.Delete(family.PathOf("patches"), recursive: true), ["no patch 'one'", "there are: none"] },
        { "no name", """[{"weight":1}]""", _ => { }, ["catalog.json", "patches[0].patch is ''"] },
        { "elsewhere", """[{"patch":"one"},{"patch":"../small"}]""", _ => { }, ["catalog.json", "patches[1].patch is '../small'"] },
        { "above", """[{"patch":".."}]""", _ => { }, ["catalog.json", "patches[0].patch is '..'"] },
        { "twice", """[{"patch":"one"},{"patch":"one"}]""", _ => { }, ["catalog.json", "'one' is given 2 times"] },
        { "endless", """[{"patch":"one","weight":1e999}]""", _ => { }, ["catalog.json", "patches[0].weight is Infinity"] },
        { "weight of a wrong type", """[{"patch":"one","weight":"much"}]""", _ => { }, ["catalog.json", "patches[0].weight", "wrong type"] },
        { "unknown field", """[{"patch":"one","scale":2}]""", _ => { }, ["catalog.json", "'scale' is not a field"] },
        { "broken weights", """[{"patch":"one"}]""", family => File.WriteAllText(family.PathOf("patches", "one", TinyPatch.WeightsFile), "x"), ["'small + 1 one'", Path.Combine("one", TinyPatch.WeightsFile)] },
        { "other shapes", """[{"patch":"one"}]""", family => TinyModel.Write(family.PathOf("small"), new() { Hidden = 48 }), ["'small + 1 one'", Path.Combine("one", TinyPatch.WeightsFile), "[64, 48]"] },
        { "neither known nodes nor a checkpoint", """[{"patch":"one"}]""", WriteForeign, ["'small + 1 one'", "config.json"] },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void Load_BrokenPatch_NamesFileAndEntry(string what, string patches, Action<TinyFamily> damage, string[] words)
    {
        Write(("mixed", patches));
        damage(family);

        EngineException error = Assert.Throws<EngineException>(() => ModelHost.Load(family.Folder, new EngineOptions()));

        Assert.True(error.Error is EngineError.InvalidCatalog or EngineError.InvalidModelFolder, what);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
        Assert.True(what is "weight of a wrong type" or "unknown field" || error.Message.Contains("served model 'mixed', expert 'mix'", StringComparison.Ordinal), error.Message);
    }

    [Fact]
    public void Load_SamePatches_ShareOneFingerprint()
    {
        Write(
            ("mixed", """[{"patch":"one","weight":0.6},{"patch":"two","weight":0.4}]"""),
            ("reversed", """[{"patch":"two","weight":0.4},{"patch":"one","weight":0.6}]"""),
            ("other", """[{"patch":"one","weight":0.4},{"patch":"two","weight":0.6}]"""),
            ("plain", "[]"));

        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        FusionStream[] experts = [.. new[] { "mixed", "reversed", "other" }.Select(name => catalog.Get(name).Plan(AskedFusion.Nothing).LoadPatches().Streams[1])];
        Assert.Single(experts.Select(expert => expert.Model).Distinct());
        Assert.Same(experts[0].Patch, experts[1].Patch);
        Assert.NotEqual(experts[0].Patch!.Hash, experts[2].Patch!.Hash);
        Assert.Equal("small + 0.6 one + 0.4 two", experts[0].ModelName);
        Assert.Equal(catalog.Get("mixed").Fingerprint, catalog.Get("reversed").Fingerprint);
        Assert.Equal(3, new[] { "mixed", "other", "plain" }.Select(name => catalog.Get(name).Fingerprint).Distinct().Count());
    }

    [Fact]
    public void Load_FewerSequencesThanAnAnswerNeeds_IsRefusedWithTheSetting()
    {
        Write(("mixed", """[{"patch":"one"}]"""));

        EngineException error = Assert.Throws<EngineException>(() => ModelHost.Load(family.Folder, new EngineOptions { MaxSequences = 1 }));

        Assert.Contains("2 sequences of 'small', and MaxSequences is 1", error.Message, StringComparison.Ordinal);
        ModelHost.Load(family.Folder, new EngineOptions { MaxSequences = 2 }).Dispose();
    }

    [Fact]
    public void Load_GraphOfUnknownNodes_MergesThePatchesIntoAMemberOfItsOwn()
    {
        string config = File.ReadAllText(family.PathOf("small", "config.json"));
        byte[] weights = File.ReadAllBytes(family.PathOf("small", "model.safetensors"));
        WriteForeign(family);
        File.WriteAllText(family.PathOf("small", "config.json"), config);
        File.WriteAllBytes(family.PathOf("small", "model.safetensors"), weights);
        Write(("mixed", """[{"patch":"one"}]"""), ("again", """[{"patch":"one"}]"""));

        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        FusionStream[] experts = [.. new[] { "mixed", "again" }.Select(name => catalog.Get(name).Plan(AskedFusion.Nothing).LoadPatches().Streams[1])];
        Assert.Same(experts[0].Model, experts[1].Model);
        Assert.Equal(("small + 1 one", null), (experts[0].Model.Info.Name, experts[0].Patch));
    }

    public void Dispose() => family.Dispose();

    // The attention has plain operators, so the graph does not show the layout of its heads.
    private static void WriteForeign(TinyFamily family) =>
        ForeignModel.Write(family.PathOf("small"), ForeignKind.PlainAttention, new() { Seed = 3, Context = TinyFamily.ContextLength });

    private void Write(params (string Name, string Patches)[] entries) => family.WriteCatalogText($$"""
        {"served_models":[{{string.Join(',', entries.Select(entry => $$"""
            {"name":"{{entry.Name}}","base":"base","method":"proxy",
             "experts":[{"name":"mix","model":"small","anti_expert":"small","patches":{{entry.Patches}}}]}
            """))}}]}
        """);
}
