using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;

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
    public void Render_NulCharacter_IsRefusedInsteadOfCuttingThePrompt()
    {
        EngineException error = Assert.Throws<EngineException>(() => ChatTemplate.Parse(Town, folder).Render([new("user", "a\0b")]));

        Assert.Equal((EngineError.InvalidValue, "messages"), (error.Error, error.Field));
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

    private void WriteConfig(object config) => File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), JsonSerializer.Serialize(config));
}
