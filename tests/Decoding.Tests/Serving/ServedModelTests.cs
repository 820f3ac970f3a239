using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Serving;

public sealed class ServedModelTests : IDisposable
{
    private static readonly ChatMessage[] Question = [new("user", "Where?"), new("user", "Who?")];

    private readonly TinyFamily family = new();

    public void Dispose() => family.Dispose();

    [Theory]
    [InlineData(null, null, 1f)]
    [InlineData(0.5, null, 0.5f)]
    [InlineData(0.5, -1.0, -0.5f)]
    [InlineData(2.0, 1.5, 3f)]
    public void Plan_AlphaAndWeight_GivesBaseAndOpposedPair(double? alpha, double? weight, float expected)
    {
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        FusionPlan plan = catalog.Get(TinyFamily.Fused).Plan(Settings(alpha, weight), CallerRole.Operator).LoadPatches();

        Assert.Equal(
            [(TinyFamily.Base, StreamRole.Base, 1f), (TinyFamily.Expert, StreamRole.Expert, 0), (TinyFamily.AntiExpert, StreamRole.AntiExpert, 0)],
            plan.Streams.Select(stream => (stream.Model.Info.Name, stream.Role, stream.Weight)));
        Assert.Equal([new FusionDelta("qa", 1, 2, expected)], plan.Deltas);
    }

    [Fact]
    public void Plan_WeightZero_HasOnlyTheBase()
    {
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        Assert.Single(catalog.Get(TinyFamily.Fused).Plan(Settings(0, null)).LoadPatches().Streams);
        Assert.Single(catalog.Get(TinyFamily.Fused).Plan(Settings(null, 0)).LoadPatches().Streams);
    }

    [Fact]
    public void Plan_ItsOwnSettings_GivesTheSamePlan()
    {
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get(TinyFamily.Fused);
        AskedFusion settled = model.Plan(Settings(0.25, null)).Settled.Values;

        Assert.Equal(0.25, settled.Alpha);
        Assert.Equal(1, settled.Experts!["qa"]);
        Assert.Equal(settled with { Experts = null }, model.Plan(settled).Settled.Values with { Experts = null });
        Assert.Equal(model.Plan(settled).LoadPatches().Deltas, model.Plan(Settings(0.25, null)).LoadPatches().Deltas);
    }

    [Fact]
    public void Plan_FieldsOfTheCatalogue_ApplyUnlessTheRequestSetsThem()
    {
        Dictionary<string, object?> entry = TinyFamily.FusedEntry();
        entry["trace"] = true;
        entry["schedule"] = new { kind = "warm_up", tokens = 3 };
        family.WriteCatalog(new { served_models = new[] { entry } });
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get(TinyFamily.Fused);

        SettledFusion own = model.Plan(AskedFusion.Nothing).Settled, asked = model.Plan(new() { Trace = false, Schedule = ScheduleSettings.Constant }).Settled;

        Assert.Equal((true, 3), (own.Trace, own.Schedule.Tokens));
        Assert.Equal((false, ScheduleSettings.Constant), (asked.Trace, asked.Schedule));
    }

    [Fact]
    public void Render_TemplatesPerRole_GivesEachStreamItsOwnText()
    {
        File.WriteAllText(family.PathOf("ask.jinja"), "Q: {{ messages[-1]['content'] }}\nA:");
        Dictionary<string, object?> entry = TinyFamily.FusedEntry();
        entry["prompts"] = new { @base = new { template = "plain" }, expert = new { template = "ask.jinja" }, anti_expert = new { template = "chat" } };
        family.WriteCatalog(new { served_models = new[] { entry } });
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get(TinyFamily.Fused);

        Prompt prompt = model.Plan(AskedFusion.Nothing).Render(Question);

        Assert.Equal(model.Tokenizer.Encode("Where?\nWho?"), prompt.Streams[0].ToArray());
        Assert.Equal(model.Tokenizer.Encode("Q: Who?\nA:"), prompt.Streams[1].ToArray());
        Assert.Equal(
            model.Tokenizer.EncodeRendered("<|user|>\nWhere?<|end|>\n<|user|>\nWho?<|end|>\n<|assistant|>\n"),
            prompt.Streams[2].ToArray());
    }

    [Fact]
    public void Render_BaseWithoutTemplate_ReadsPlainText()
    {
        File.WriteAllText(family.PathOf("base", "tokenizer_config.json"), "{}");
        Dictionary<string, object?> entry = TinyFamily.PlainEntry();
        family.WriteCatalog(new { served_models = new[] { entry } });
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get(TinyFamily.Plain);

        Assert.Equal(model.Tokenizer.Encode("Where?\nWho?"), model.Plan(AskedFusion.Nothing).Render(Question).Streams[0].ToArray());
    }

    [Fact]
    public void VocabularySize_PaddedModel_EqualsTheTokenizers()
    {
        TinyModel.Write(family.PathOf("base"), new TinyModelOptions { Vocabulary = 300, TokenizerSize = TinyTokenizer.Size });
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        Assert.Equal(TinyTokenizer.Size, catalog.Get(TinyFamily.Fused).VocabularySize);
        Assert.Equal(TinyTokenizer.Size, catalog.Get(TinyFamily.Plain).Plan(AskedFusion.Nothing).LoadPatches().VocabularySize);
    }

    [Fact]
    public void Render_TokenBeyondTheModelsRows_IsRefused()
    {
        // The tokenizer knows "aa" as one more token than the model has rows.
        TinyTokenizer.WriteByteLevel(family.PathOf("base"), TinyTokenizer.Size + 1);
        family.WriteCatalog(new { served_models = new[] { TinyFamily.PlainEntry() } });
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get(TinyFamily.Plain);
        ServedPlan plan = model.Plan(AskedFusion.Nothing);

        Assert.Equal(1, plan.Render("a").TokenCount);
        foreach (Action render in new Action[] { () => plan.Render("aa"), () => plan.Render([new ChatMessage("user", "aa")]) })
        {
            EngineException error = Assert.Throws<EngineException>(render);
            Assert.Equal((EngineError.InvalidValue, "prompt"), (error.Error, error.Field));
            Assert.Contains("261", error.Message, StringComparison.Ordinal);
        }
    }

    private static AskedFusion Settings(double? alpha, double? weight) => new()
    {
        Alpha = alpha,
        Experts = weight is { } value ? new Dictionary<string, double> { ["qa"] = value } : null,
    };
}
