using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>Tests a base that is an object in catalog.json. No server listens at its address because a remote need not run at the start.</summary>
public sealed class RemoteBaseTests
{
    private const string KeyVariable = "PROXYTUNE_TEST_REMOTE_KEY";

    public static TheoryData<string, string, string[]> Broken => new()
    {
        { "no url", """{"model": "m", "tokenizer": "base"}""", ["base.url is missing"] },
        { "other scheme", """{"url": "ftp://host", "model": "m", "tokenizer": "base"}""", ["base.url"] },
        { "password in url", """{"url": "http://me:hunter2@host", "model": "m", "tokenizer": "base"}""", ["base.url", "api_key_env"] },
        { "no model", """{"url": "http://host", "tokenizer": "base"}""", ["base.model is missing"] },
        { "no tokenizer", """{"url": "http://host", "model": "m"}""", ["base.tokenizer is missing"] },
        { "tokenizer elsewhere", """{"url": "http://host", "model": "m", "tokenizer": "../base"}""", ["base.tokenizer is '../base'"] },
        { "folder without tokenizer", """{"url": "http://host", "model": "m", "tokenizer": "empty"}""", ["folder 'empty'", "tokenizer.json"] },
        { "folder without limits", """{"url": "http://host", "model": "m", "tokenizer": "words"}""", ["base.context_length is missing"] },
        { "folder without end", """{"url": "http://host", "model": "m", "tokenizer": "words", "context_length": 64}""", ["base.end_of_text_ids is missing"] },
        { "end of text outside", Entry("\"end_of_text_ids\": [261]"), ["base.end_of_text_ids is 261", "0 to 260"] },
        { "key not there", Entry("\"api_key_env\": \"PROXYTUNE_NO_SUCH_KEY\""), ["base.api_key_env is 'PROXYTUNE_NO_SUCH_KEY'"] },
        { "no logprobs", Entry("\"top_logprobs\": 0"), ["base.top_logprobs is 0", "1 to 1000"] },
        { "unknown prompt", Entry("\"prompt\": \"speech\""), ["base.prompt is 'speech'", "tokens or text"] },
        { "no time", Entry("\"timeout_seconds\": 0"), ["base.timeout_seconds is 0", "0.01 to 86400"] },
        { "negative retries", Entry("\"retries\": -1"), ["base.retries is -1"] },
        { "breaker never opens", Entry("\"breaker\": {\"failure_ratio\": 0}"), ["base.breaker.failure_ratio is 0"] },
        { "breaker of one attempt", Entry("\"breaker\": {\"attempts\": 1}"), ["base.breaker.attempts is 1", "from 2"] },
        { "own field in body", Entry("\"body\": {\"max_tokens\": 2}"), ["base.body is 'max_tokens'"] },
        { "unknown field", Entry("\"keys\": 1"), ["served_models[0].base", "'keys' is not a field"] },
        { "wrong type", Entry("\"retries\": \"many\""), ["served_models[0].base", "retries", "wrong type"] },
        { "dynamic", Entry("", "\"method\": \"dynamic\""), ["'dynamic' needs whole rows"] },
        { "context-aware on request", Entry("", "\"methods\": [\"context_aware\"]"), ["'context_aware' needs whole rows"] },
        { "delta mask", Entry("", "\"method\": \"eft\", \"mask\": {\"kind\": \"delta\", \"p\": 0.9}"), ["mask.kind is 'delta'", "needs whole rows"] },
        { "special tokens", Entry("", "\"method\": \"proxy\", \"special_tokens\": \"base\""), ["special_tokens is 'base'", "needs whole rows"] },
        { "other tokenizer", """{"url": "http://host", "model": "m", "tokenizer": "shifted", "context_length": 64, "end_of_text_ids": [0]}""", ["another tokenizer", "shifted"] },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void Load_BrokenEntry_NamesFileEntryAndField(string what, string remote, string[] words)
    {
        using TinyFamily family = Family(remote);

        EngineException error = Assert.Throws<EngineException>(() => ModelHost.Load(family.Folder, new EngineOptions()));

        Assert.True(error.Error is EngineError.InvalidCatalog or EngineError.InvalidModelFolder, what);
        Assert.Contains(error.Error == EngineError.InvalidCatalog ? "catalog.json" : "'far'", error.Message, StringComparison.Ordinal);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain("hunter2", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Defaults_TakeContextAndEndFromTheFolder()
    {
        using TinyFamily family = Family(Entry(""));
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get("far");
        RemoteLanguageModel remote = Assert.IsType<RemoteLanguageModel>(model.Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Model);

        Assert.True(model.IsRemote);
        Assert.Equal(("m@host:8000", TinyFamily.ContextLength, 261), (remote.Info.Name, remote.Info.ContextLength, remote.Info.VocabularySize));
        Assert.Equal([0, 4], remote.Info.EndOfTextIds);
        Assert.Equal((20, 3, RemotePrompt.Tokens), (remote.Options.TopLogprobs, remote.Options.Retries, remote.Options.Prompt));
        Assert.Equal("http://host:8000/v1/completions", remote.Options.Endpoint.AbsoluteUri);
        Assert.InRange(model.Created, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [Fact]
    public void Load_AllFieldsSet_ReachTheModel()
    {
        Environment.SetEnvironmentVariable(KeyVariable, "secret-key");
        using TinyFamily family = Family($$"""
            {"url": "https://host/api/v1/", "model": "m", "tokenizer": "words", "api_key_env": "{{KeyVariable}}", "top_logprobs": 5, "prompt": "text",
             "context_length": 99, "end_of_text_ids": [2], "timeout_seconds": 1.5, "retries": 0, "retry_delay_seconds": 0.25, "longest_delay_seconds": 9,
             "breaker": {"failure_ratio": 0.9, "attempts": 4, "window_seconds": 20, "open_seconds": 3}, "body": {"ignore_eos": true} }
            """);
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        RemoteLanguageModel remote = Assert.IsType<RemoteLanguageModel>(catalog.Get("far").Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Model);
        RemoteOptions options = remote.Options;

        Assert.Equal("https://host/api/v1/completions", options.Endpoint.AbsoluteUri);
        Assert.Equal((5, RemotePrompt.Text, 0), (options.TopLogprobs, options.Prompt, options.Retries));
        Assert.Equal([1.5, 0.25, 9, 20, 3], new[] { options.Timeout, options.RetryDelay, options.LongestDelay, options.Breaker.Window, options.Breaker.Open }.Select(time => time.TotalSeconds));
        Assert.Equal((0.9, 4), (options.Breaker.FailureRatio, options.Breaker.Attempts));
        Assert.True(options.Body["ignore_eos"].GetBoolean());
        Assert.Equal(99, remote.Info.ContextLength);
        Assert.Equal([2], remote.Info.EndOfTextIds);
        Assert.DoesNotContain("secret", options.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_EqualEntries_ShareOneModel()
    {
        using TinyFamily family = Family(Entry(""), "far", "farther");
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());

        Assert.Same(Base("far"), Base("farther"));

        ILanguageModel Base(string name) => catalog.Get(name).Plan(AskedFusion.Nothing).LoadPatches().Streams[0].Model;
    }

    [Fact]
    public void Plan_SettingThatNeedsWholeRows_IsRefusedEvenForOperators()
    {
        using TinyFamily family = Family(Entry("", "\"method\": \"eft\""));
        using ModelHost catalog = ModelHost.Load(family.Folder, new EngineOptions());
        ServedModel model = catalog.Get("far");

        Assert.Equal("fusion.method", Refused(new() { Method = "dynamic" }));
        Assert.Equal("fusion.method", Refused(new() { Method = "context_aware" }));
        Assert.Equal("fusion.mask.kind", Refused(new() { Mask = new() { Kind = "delta", P = 0.9 } }));
        Assert.Equal("fusion.special_tokens", Refused(new() { SpecialTokens = "base" }));
        model.Plan(new() { Mask = new() { Kind = "nucleus", P = 0.9 } });
        model.Plan(new() { Method = "divergence", Mask = new() { Kind = "rank" }, SpecialTokens = "fused" }, CallerRole.Operator);

        string? Refused(AskedFusion asked)
        {
            EngineException error = Assert.Throws<EngineException>(() => model.Plan(asked, CallerRole.Operator));
            Assert.Equal(EngineError.InvalidValue, error.Error);
            Assert.Contains("needs whole rows", error.Message, StringComparison.Ordinal);
            return error.Field;
        }
    }

    /// <summary>A good remote base, with further fields of it, and further fields of the served model.</summary>
    private static string Entry(string ofBase, string ofModel = "")
    {
        string remote = """{"url": "http://host:8000", "model": "m", "tokenizer": "base" """ + (ofBase.Length > 0 ? ", " + ofBase : "") + "}";
        return ofModel.Length > 0 ? $"{remote}, {ofModel}" : remote;
    }

    private static TinyFamily Family(string remote, params ReadOnlySpan<string> names)
    {
        TinyFamily family = new();
        Directory.CreateDirectory(family.PathOf("empty"));
        TinyTokenizer.WriteByteLevel(Directory.CreateDirectory(family.PathOf("words")).FullName);
        TinyTokenizer.WriteByteLevel(Directory.CreateDirectory(family.PathOf("shifted")).FullName, shift: 1);
        string method = remote.Contains("\"method\"", StringComparison.Ordinal) ? "" : """, "method": "proxy" """;
        string[] entries = [.. (names.Length > 0 ? names.ToArray() : ["far"]).Select(name => $$"""
            {"name": "{{name}}", "base": {{remote}} {{method}}, "experts": [{"name": "qa", "model": "small-qa", "anti_expert": "small"}] }
            """)];
        family.WriteCatalogText($$"""{"served_models": [{{string.Join(',', entries)}}] }""");
        return family;
    }
}
