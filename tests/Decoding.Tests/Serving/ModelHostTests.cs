using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>Tests models folders with catalog.json. A message about a wrong one names the file and the entry.</summary>
public class ModelHostTests
{
    public static TheoryData<string, Action<TinyFamily>, string[]> Broken => new()
    {
        { "model missing", family => File.Delete(family.PathOf("small-qa", "model.onnx")), ["'town-qa', expert 'qa'", "small-qa", "model.onnx"] },
        { "model truncated", family => Truncate(family.PathOf("small-qa", "model.onnx")), ["'town-qa', expert 'qa'", "small-qa", "model.onnx"] },
        { "weights truncated", family => Truncate(family.PathOf("base", "model.safetensors")), ["'town-qa'", "base", "model.safetensors"] },
        { "weights missing", family => File.Delete(family.PathOf("small", "model.safetensors")), ["'town-qa', expert 'qa'", "small", "model.safetensors"] },
        { "tokenizer missing", family => File.Delete(family.PathOf("small", "tokenizer.json")), ["'town-qa', expert 'qa'", "small", "tokenizer.json"] },
        { "tokenizer broken", family => Truncate(family.PathOf("base", "tokenizer.json")), ["'town-qa'", "base", "tokenizer.json"] },
        { "config broken", family => File.WriteAllText(family.PathOf("base", "genai_config.json"), "{"), ["'town-qa'", "base", "genai_config.json"] },
        { "no layers", Config("num_hidden_layers", "0"), ["'town-qa'", "base", "genai_config.json", "num_hidden_layers is 0"] },
        { "no context", Config("context_length", "-1"), ["'town-qa'", "base", "genai_config.json", "context_length is -1"] },
        { "other tokenizer", family => family.WriteModel("small-qa", seed: 2, shift: 1), ["catalog.json", "'town-qa', expert 'qa'", "small-qa", "another tokenizer", "base"] },
        { "broken JSON", family => family.WriteCatalogText("{\"served_models\": ["), ["catalog.json", "line 1"] },
        { "field twice", family => family.WriteCatalogText("""{"served_models":[{"name":"town-qa","name":"plain","base":"base"}]}"""), ["catalog.json", "line 1", "served_models[0].name is given twice"] },
        { "no such folder", Entry(("base", "nobody")), ["catalog.json", "'town-qa'", "'nobody'", "base, small, small-qa"] },
        { "no base", Entry(("base", null)), ["catalog.json", "'town-qa'", "base is missing"] },
        { "unknown field", Entry(("alhpa", 1)), ["catalog.json", "line 1", "served_models[0]", "'alhpa' is not a field"] },
        { "wrong type", Entry(("alpha", "much")), ["catalog.json", "served_models[0].alpha", "wrong type"] },
        { "unknown method", Entry(("method", "magic")), ["catalog.json", "'town-qa'", "'magic'", "none, proxy, eft"] },
        { "unknown method offered", Entry(("methods", new[] { "magic" })), ["catalog.json", "'town-qa'", "methods has 'magic'"] },
        { "method without experts", Entry(("experts", null)), ["catalog.json", "'town-qa'", "'proxy' needs experts with anti-experts"] },
        { "experts without method", Entry(("method", null)), ["catalog.json", "'town-qa'", "takes no experts"] },
        { "contrastive without amateur", Entry(("methods", new[] { "contrastive" })), ["catalog.json", "'town-qa'", "'contrastive' needs an amateur"] },
        { "rewards with anti-experts", Entry(("method", "portable_reward")), ["catalog.json", "'town-qa'", "'portable_reward' needs", "without anti-experts"] },
        { "eft that does not sum to 1", Catalog([Changed(Changed(TinyFamily.FusedEntry(), ("method", "eft")), ("experts", new[] { Changed(TinyFamily.ExpertEntry(), ("weight", 0.5)) }))]), ["catalog.json", "'town-qa'", "sums to 0.5"] },
        { "unknown mask", Entry(("mask", new { kind = "veil" })), ["catalog.json", "'town-qa'", "mask.kind is 'veil'"] },
        { "mask without number", Entry(("mask", new { kind = "ratio" })), ["catalog.json", "'town-qa'", "mask.ratio is missing"] },
        { "unknown schedule", Entry(("schedule", new { kind = "never" })), ["catalog.json", "'town-qa'", "schedule.kind is 'never'"] },
        { "unknown mode", Entry(("mode", "both")), ["catalog.json", "'town-qa'", "mode is 'both'"] },
        { "prompt of no role", Entry(("prompts", new { king = new { system = "x" } })), ["catalog.json", "'town-qa'", "prompts has 'king'"] },
        { "example without answer", Entry(("prompts", new { @base = new { examples = new[] { new { user = "x" } } } })), ["catalog.json", "'town-qa'", "prompts.base.examples"] },
        { "alpha outside", Entry(("alpha", 2.5)), ["catalog.json", "'town-qa'", "alpha is 2.5", "0 to 2"] },
        { "range reversed", Entry(("alpha_range", new[] { 2, 0 })), ["catalog.json", "'town-qa'", "alpha_range is [2, 0]"] },
        { "range without end", family => family.WriteCatalogText(EndlessRange), ["catalog.json", "'town-qa'", "alpha_range is [0, Infinity]", "from -1000 to 1000"] },
        { "floor without dynamic", Entry(("floor", 0.5)), ["catalog.json", "'town-qa'", "floor is 0.5", "'dynamic'"] },
        { "mode without dynamic", Entry(("mode", "joint")), ["catalog.json", "'town-qa'", "mode is 'joint'", "'dynamic'"] },
        { "unknown mode", Catalog([Changed(Changed(TinyFamily.FusedEntry(), ("methods", new[] { "dynamic" })), ("mode", "double"))]), ["catalog.json", "'town-qa'", "mode is 'double'", "single or joint"] },
        { "normalise without eft", Entry(("normalise", true)), ["catalog.json", "'town-qa'", "normalise is true", "'eft'"] },
        { "amplification without eft", Entry(("amplification", 1.5)), ["catalog.json", "'town-qa'", "amplification is 1.5", "'eft'"] },
        { "half an expert of dynamic", Catalog([Changed(Changed(TinyFamily.FusedEntry(), ("method", "dynamic")), ("experts", new[] { Changed(TinyFamily.ExpertEntry(), ("weight", 0.5)) }))]), ["catalog.json", "'town-qa'", "expert 'qa' has weight 0.5", "1 or 0"] },
        { "floor above alpha", Entry(("floor", 2.5)), ["catalog.json", "'town-qa'", "floor is 2.5", "0 to 2"] },
        { "range of one", Entry(("alpha_range", new[] { 2 })), ["catalog.json", "'town-qa'", "alpha_range has 1 numbers"] },
        { "weight outside", Expert(("weight", 1.6)), ["catalog.json", "'town-qa', expert 'qa'", "weight is 1.6", "-1 to 1.5"] },
        { "expert without model", Expert(("model", null)), ["catalog.json", "'town-qa'", "'qa' needs model"] },
        { "expert without anti-expert", Expert(("anti_expert", null)), ["catalog.json", "'town-qa'", "'proxy' needs experts with anti-experts"] },
        { "expert called alpha", Expert(("name", "alpha")), ["catalog.json", "'town-qa'", "experts[0].name is 'alpha'"] },
        { "experts called alike", Entry(("experts", new[] { TinyFamily.ExpertEntry(), TinyFamily.ExpertEntry() })), ["catalog.json", "'town-qa'", "'qa' is given 2 times"] },
        { "name missing", Entry(("name", null)), ["catalog.json", "served_models[0]", "name is ''"] },
        { "name with @", Entry(("name", "a@1")), ["catalog.json", "served_models[0]", "name is 'a@1'"] },
        { "names alike", Catalog([TinyFamily.PlainEntry(), TinyFamily.PlainEntry()]), ["catalog.json", "'plain' is given 2 times"] },
        { "template missing", Entry(("prompts", new { @base = new { template = "nice.jinja" } })), ["catalog.json", "'town-qa'", "'nice.jinja'", "'plain'"] },
        { "template elsewhere", Template("base/nice.jinja", "fine"), ["catalog.json", "'town-qa'", "'base/nice.jinja'", ".jinja file in"] },
        { "template broken", Template("nice.jinja", "{% if %}"), ["'town-qa'", "'nice.jinja'", "broken"] },
        { "template not there", family => { File.WriteAllText(family.PathOf("base", "tokenizer_config.json"), "{}"); Template("chat")(family); }, ["'town-qa'", "'chat'", "base", "no chat template"] },
    };

    private const string EndlessRange = """{"served_models":[{"name":"town-qa","base":"base","method":"none","alpha_range":[0,1e999]}]}""";

    [Theory]
    [MemberData(nameof(Broken))]
    public void Load_BrokenFolder_NamesFileAndEntry(string what, Action<TinyFamily> damage, string[] words)
    {
        using TinyFamily family = new();
        damage(family);

        EngineException error = Assert.Throws<EngineException>(() => ModelHost.Load(family.Folder, new EngineOptions()));

        Assert.True(error.Error is EngineError.InvalidCatalog or EngineError.InvalidModelFolder, what);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Load_NoCatalog_ServesEachFolderUnderItsName()
    {
        using TinyFamily family = new();
        File.Delete(family.PathOf("catalog.json"));
        Directory.CreateDirectory(family.PathOf("notes"));
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        Assert.Equal(["base", "small", "small-qa"], catalog.Models.Select(model => model.Name));
        Assert.All(catalog.Models, model => Assert.Empty(model.Experts));
    }

    [Fact]
    public void Load_FolderThatIsAModel_ServesIt()
    {
        using TinyFamily family = new();
        using ModelHost catalog = ModelHost.Load(family.PathOf("base") + Path.DirectorySeparatorChar, new EngineOptions());

        Assert.Equal(["base"], catalog.Models.Select(model => model.Name));
    }

    [Fact]
    public void Load_OtherWeightsInAMember_ChangeTheFingerprintOfWhatUsesIt()
    {
        using TinyFamily family = new();
        string[] before = Fingerprints(family);
        family.WriteModel("small-qa", seed: 9);
        string[] after = Fingerprints(family);

        Assert.NotEqual(before[0], after[0]);
        Assert.Equal(before[1], after[1]);
        Assert.Equal(after, Fingerprints(family));
    }

    private static string[] Fingerprints(TinyFamily family)
    {
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        return [catalog.Get(TinyFamily.Fused).Fingerprint, catalog.Get(TinyFamily.Plain).Fingerprint];
    }

    private static void Truncate(string path)
    {
        using FileStream file = File.OpenWrite(path);
        file.SetLength(file.Length / 2);
    }

    private static Action<TinyFamily> Config(string field, string value) => family =>
    {
        string path = family.PathOf("base", "genai_config.json");
        File.WriteAllText(path, Regex.Replace(File.ReadAllText(path), $"\"{field}\": \\d+", $"\"{field}\": {value}"));
    };

    private static Action<TinyFamily> Template(string name, string? content = null) => family =>
    {
        if (content is not null)
        {
            File.WriteAllText(family.PathOf(name), content);
        }

        Entry(("prompts", new { @base = new { template = name } }))(family);
    };

    private static Action<TinyFamily> Entry((string Field, object? Value) change) => Catalog([Changed(TinyFamily.FusedEntry(), change)]);

    private static Action<TinyFamily> Expert((string Field, object? Value) change) =>
        Entry(("experts", new[] { Changed(TinyFamily.ExpertEntry(), change) }));

    private static Action<TinyFamily> Catalog(Dictionary<string, object?>[] entries) => family => family.WriteCatalog(new { served_models = entries });

    private static Dictionary<string, object?> Changed(Dictionary<string, object?> entry, (string Field, object? Value) change)
    {
        entry[change.Field] = change.Value;
        return entry;
    }
}
