using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Text;

public sealed class ChatTemplateTests : IDisposable
{
    private const string Town =
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

    private static readonly ChatMessage[] Talk = [new("system", "Be \"brief\"."), new("user", "Où est\n{{ x }} \u0001 <|end|>?")];

    private readonly string folder = Directory.CreateTempSubdirectory("template-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(true, "<|assistant|>\n")]
    [InlineData(false, "")]
    public void Render_FromTokenizerConfig_WritesMessagesVerbatim(bool prompt, string end)
    {
        WriteConfig(new { chat_template = Town });

        Assert.Equal($"<|system|>\nBe \"brief\".<|end|>\n<|user|>\nOù est\n{{{{ x }}}} \u0001 <|end|>?<|end|>\n{end}", ChatTemplate.Load(folder).Render(Talk, prompt));
    }

    [Fact]
    public void Render_BeginAndEndTokens_AreVariables()
    {
        WriteConfig(new { bos_token = "<s>", eos_token = new { content = "</s>", lstrip = false }, chat_template = "{{ bos_token }}{{ messages[-1].content | trim }}{{ eos_token }}" });

        Assert.Equal("<s>hello</s>", ChatTemplate.Load(folder).Render([new("user", " hello ")]));
    }

    [Fact]
    public void Load_TemplateFileBesideConfig_FileWins()
    {
        WriteConfig(new { bos_token = "<s>", chat_template = "config" });
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), "{{ bos_token }}file\n");

        Assert.Equal("<s>file", ChatTemplate.Load(folder).Render(Talk));
    }

    [Fact]
    public void Load_NamedTemplates_TakesTheDefault()
    {
        WriteConfig(new { chat_template = new[] { new { name = "tool_use", template = "tools" }, new { name = "default", template = "plain" } } });

        Assert.Equal("plain", ChatTemplate.Load(folder).Render(Talk));
    }

    // The expected texts were made with Jinja 3.1.6, trim_blocks and lstrip_blocks on, as transformers renders.
    [Theory]
    [InlineData("{% for m in messages %}\n  {% if m.role == 'user' %}\nU: {{ m.content }}\n  {% else %}\nO: {{ m.content }}\n  {% endif %}\n{% endfor %}\n{# remark #}\nA:\n", "O: s\nU: u\nA:")]
    [InlineData("{%- for m in messages %}\n    {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n", "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("{% set ns = namespace(n=0) %}{% for m in messages[1:] %}{% set ns.n = loop.index %}{% endfor %}{{ ns.n }}{{ messages | length }}{{ x is defined }}", "12False")]
    public void Render_Whitespace_EqualsJinjaWithTrimmedBlocks(string template, string expected) =>
        Assert.Equal(expected, ChatTemplate.Parse(template, folder).Render([new("system", "s"), new("user", "u")]));

    [Fact]
    public void Render_TemplateRaises_ThrowsInvalidMessagesWithItsReason()
    {
        ChatTemplate template = ChatTemplate.Parse("{% if messages[0].role == 'system' %}{{ raise_exception('No system message, please') }}{% endif %}ok", folder);

        EngineException error = Assert.Throws<EngineException>(() => template.Render(Talk));

        Assert.Equal((EngineError.InvalidValue, "messages"), (error.Error, error.Field));
        Assert.EndsWith("No system message, please", error.Message, StringComparison.Ordinal);
        Assert.Equal("ok", template.Render([new("user", "x")]));
    }

    [Theory]
    [InlineData("{% if %}x")]
    [InlineData("{% for m in messages %}x")]
    [InlineData("{{ messages[ }}")]
    [InlineData("x{% endif %}")]
    public void Load_BrokenTemplate_NamesTheFolder(string template)
    {
        WriteConfig(new { chat_template = template });

        EngineException error = Assert.Throws<EngineException>(() => ChatTemplate.Load(folder));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(folder, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_NulCharacter_ReachesTheTokens()
    {
        using TinyModel model = TinyModel.Create();
        using Tokenizer tokenizer = Tokenizer.Load(model.Folder);
        string text = ChatTemplate.Parse(Town, folder).Render([new("user", "a\0b")]);

        Assert.Contains("a\0b", text, StringComparison.Ordinal);
        Assert.Equal(tokenizer.Encode(text).Length, tokenizer.Encode(text.Replace('\0', '\u0001')).Length);
    }

    [Fact]
    public void Load_FurtherTemplates_TakesThatForToolsWhereToolsAreGiven()
    {
        WriteConfig(new { chat_template = "config" });
        string more = Directory.CreateDirectory(Path.Combine(folder, "additional_chat_templates")).FullName;
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), "plain {{ tools is none }}");
        File.WriteAllText(Path.Combine(more, "tool_use.jinja"), "with {{ tools | length }}");
        ChatTemplate template = ChatTemplate.Load(folder);

        Assert.Equal("plain True", template.Render(new TemplateInput { Messages = Json("[]") }));
        Assert.Equal("with 2", template.Render(new TemplateInput { Messages = Json("[]"), Tools = Json("[{}, {}]") }));
    }

    [Fact]
    public void Load_NoDefaultTemplate_NamesTheOthers()
    {
        WriteConfig(new { chat_template = new[] { new { name = "rag", template = "x" } } });

        Assert.Contains("rag", Assert.Throws<EngineException>(() => ChatTemplate.Load(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ByteOrderMark_IsACharacterOfTheTemplate()
    {
        WriteConfig(new { });
        File.WriteAllBytes(Path.Combine(folder, "chat_template.jinja"), [0xEF, 0xBB, 0xBF, (byte)'x']);

        Assert.Equal("\uFEFFx", ChatTemplate.Load(folder).Render(Talk));
    }

    [Fact]
    public void Render_VariablesAndDocuments_ReachTheTemplate()
    {
        WriteConfig(new { eos_token = "</s>", chat_template = "{{ eos_token }}{{ pad_token is defined }}{{ thinking }}{{ documents[0].title }}{{ add_generation_prompt }}" });
        TemplateInput input = new()
        {
            Messages = Json("[]"),
            Documents = Json("""[{"title": "t"}]"""),
            Variables = new Dictionary<string, JsonElement> { ["thinking"] = Json("3.0"), ["eos_token"] = Json("\"own\"") },
            AddGenerationPrompt = false,
        };

        Assert.Equal("ownFalse3.0tFalse", ChatTemplate.Load(folder).Render(input));
    }

    [Fact]
    public void Render_VariableWithAFieldOfItsOwn_IsRefused()
    {
        TemplateInput input = new() { Messages = Json("[]"), Variables = new Dictionary<string, JsonElement> { ["tools"] = Json("[]") } };

        EngineException error = Assert.Throws<EngineException>(() => ChatTemplate.Parse("x", folder).Render(input));
        Assert.Equal((EngineError.InvalidValue, "chat_template_kwargs"), (error.Error, error.Field));
    }

    [Theory]
    [InlineData("""[{"role": "user", "content": null, "reasoning": "r"}]""", "['thinking', 'role', 'reasoning', 'reasoning_content']r")]
    [InlineData("""[{"role": "user", "thinking": "t", "reasoning_content": "r"}]""", "['role', 'thinking', 'reasoning_content']r")]
    public void Render_MessageKeys_AreThoseOfTransformers(string messages, string expected) =>
        Assert.Equal(expected, ChatTemplate.Parse("{{ messages[0] | list }}{{ messages[0].reasoning_content }}", folder).Render(new TemplateInput { Messages = Json(messages) }));

    [Theory]
    [InlineData("{{ messages[0].content }}<end>", "ab \n", "ab \n")]
    [InlineData("{{ messages[0].content | trim }}<end>", "ab \n", "ab")]
    public void Render_ContinueFinalMessage_EndsWithItsContent(string template, string content, string expected) =>
        Assert.Equal(expected, ChatTemplate.Parse(template, folder).Render(new TemplateInput { Messages = JsonSerializer.SerializeToElement(new[] { new { role = "assistant", content } }), ContinueFinalMessage = true }));

    [Theory]
    [InlineData("{{ messages[0].content | upper }}")]
    [InlineData("{{ messages[0].role }}")]
    public void Render_ContinueFinalMessageThatIsNotWritten_IsRefused(string template)
    {
        TemplateInput input = new() { Messages = Json("""[{"role": "assistant", "content": "a"}]"""), ContinueFinalMessage = true };

        Assert.Equal("messages", Assert.Throws<EngineException>(() => ChatTemplate.Parse(template, folder).Render(input)).Field);
    }

    [Theory]
    [InlineData("{{ messages | nosuch }}", "'nosuch'")]
    [InlineData("{{ 1 is nosuch }}", "'nosuch'")]
    [InlineData("{% do x %}", "'do'")]
    [InlineData("{{ messages | random }}", "'random'")]
    public void Load_WhatIsNotSupported_IsNamedWithTheFile(string template, string says)
    {
        WriteConfig(new { chat_template = template });

        EngineException error = Assert.Throws<EngineException>(() => ChatTemplate.Load(folder));
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains("tokenizer_config.json", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "since it")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels")]
    [InlineData("{{ 'a' * 1000000000 }}", "MiB")]
    [InlineData("{% for a in range(100000) %}{{ 'a' ~ messages[0].content ~ 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' }}{% endfor %}", "characters")]
    [InlineData("{{ 9 ** 99999999 }}", "bits")]
    [InlineData("{{ ('a' * 100000).find('a' * 50000 ~ 'b') }}", "steps")]
    public void Render_BeyondALimit_NamesTheLimit(string template, string says)
    {
        EngineException error = Assert.Throws<EngineException>(() => ChatTemplate.Parse(template, folder).Render([new("user", "u")]));

        Assert.Equal((EngineError.InvalidValue, "messages"), (error.Error, error.Field));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_LongConversation_IsWithinTheLimits()
    {
        ChatMessage[] messages = [.. Enumerable.Range(0, 2000).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", new string('x', 2000)))];
        const string Careful = "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}" +
            "{% for m in messages %}{% set c = m.content | trim %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}{{ '<|' + m.role + '|>' + c.replace('y', 'z') + ns.last | string }}{% endfor %}";

        Assert.True(ChatTemplate.Parse(Careful, folder).Render(messages).Length > 4_000_000);
    }

    [Fact]
    public void Load_TemplateThatRefusesEmptyConversations_Loads()
    {
        WriteConfig(new { chat_template = "{% if messages | length == 0 %}{{ raise_exception('nothing') }}{% endif %}ok" });

        Assert.Equal("ok", ChatTemplate.Load(folder).Render(Talk));
    }

    [Fact]
    public void Load_NoTemplate_NamesTheFolder()
    {
        WriteConfig(new { bos_token = "<s>" });

        Assert.Null(ChatTemplate.TryLoad(folder));
        Assert.Contains(folder, Assert.Throws<EngineException>(() => ChatTemplate.Load(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_BrokenConfig_NamesTheFile()
    {
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), "{");

        Assert.Contains("tokenizer_config.json", Assert.Throws<EngineException>(() => ChatTemplate.Load(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_FromManyThreads_GivesTheSameTexts()
    {
        ChatTemplate template = ChatTemplate.Parse(Town, folder);

        Parallel.For(0, 2000, i =>
            Assert.Equal($"<|user|>\n{i}<|end|>\n<|assistant|>\n", template.Render([new("user", $"{i}")])));
    }

    private static JsonElement Json(string text) => JsonSerializer.Deserialize<JsonElement>(text);

    private void WriteConfig(object config) => File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), JsonSerializer.Serialize(config));
}
