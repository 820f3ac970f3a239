using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using GenAITokenizer = Microsoft.ML.OnnxRuntimeGenAI.Tokenizer;

namespace ProxyTune.Decoding.Text;

/// <param name="Role">system, user or assistant (a template may accept others).</param>
/// <param name="Name">The speaker's name, if the client gives one; templates do not see it. <c>context</c> marks the message that method context_aware contrasts.</param>
public sealed record ChatMessage(string Role, string Content, string? Name = null);

/// <summary>Renders messages as a model was tuned to read them (Jinja, as in tokenizer_config.json or chat_template.jinja). Thread-safe.</summary>
/// <remarks>
/// The variables are messages, add_generation_prompt, bos_token and eos_token. As in transformers, a block tag takes the line break after it
/// and the blanks before it away (trim_blocks, lstrip_blocks).
/// </remarks>
public sealed partial class ChatTemplate
{
    private const string TemplateFile = FileNames.ChatTemplate;
    private const string ConfigFile = FileNames.TokenizerConfig;

    private readonly string template;
    private readonly RenderJinja render;

    /// <param name="path">Where the template stands, for messages.</param>
    private ChatTemplate(string source, RenderJinja render, string path)
    {
        Source = source;
        template = TrimBlocks(source);
        this.render = render;
        CheckSyntax(path);
    }

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>chat_template.jinja of a model folder, or the chat_template of its tokenizer_config.json.</summary>
    /// <exception cref="EngineException">InvalidModelFolder when the folder has neither, or one that is broken.</exception>
    public static ChatTemplate Load(string folder) =>
        TryLoad(folder) ?? throw EngineException.InFile(
            Path.Combine(folder, ConfigFile), $"no chat template; accepted is the entry chat_template, or a file {TemplateFile} beside it.");

    /// <summary>As <see cref="Load"/>, but null for a folder without a chat template.</summary>
    /// <param name="renderer">Renders it, where its author need not be trusted; null to render it here.</param>
    public static ChatTemplate? TryLoad(string folder, ITemplateRenderer? renderer = null)
    {
        string file = Path.Combine(folder, TemplateFile);
        (string? inConfig, string? begin, string? end) = ReadConfig(folder);
        return File.Exists(file) ? new(File.ReadAllText(file), Renderer(begin, end, renderer), file)
            : inConfig is not null ? new(inConfig, Renderer(begin, end, renderer), Path.Combine(folder, ConfigFile))
            : null;
    }

    /// <summary>A template of the caller's, with the begin and end tokens of a model folder.</summary>
    /// <exception cref="EngineException">InvalidModelFolder when the template is no Jinja.</exception>
    public static ChatTemplate Parse(string source, string folder)
    {
        (string? _, string? begin, string? end) = ReadConfig(folder);
        return new(source, Renderer(begin, end, null), folder);
    }

    /// <param name="addGenerationPrompt">Whether the text ends where the assistant's answer begins.</param>
    /// <exception cref="EngineException">InvalidValue (messages): the template refuses these messages; the reason is the template's own.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true)
    {
        // The renderer would cut the prompt at this character.
        if (messages.Any(m => m.Role.Contains('\0') || m.Content.Contains('\0')))
        {
            throw new EngineException(EngineError.InvalidValue, "messages contains the character U+0000; any other is allowed.", "messages");
        }

        string json = JsonSerializer.Serialize(messages.Select(m => new { role = m.Role, content = m.Content }));
        return render(template, json, addGenerationPrompt);
    }

    // A condition that never holds makes the renderer parse the template without running it. So a template that refuses an empty conversation loads.
    private void CheckSyntax(string path)
    {
        try
        {
            render("{% if false %}" + template + "{% endif %}", "[]", addGenerationPrompt: false);
        }
        catch (EngineException error)
        {
            throw EngineException.InFile(path, $"the chat template is broken: {error.InnerException?.Message}", inner: error);
        }
    }

    private static RenderJinja Renderer(string begin, string end, ITemplateRenderer? renderer) => renderer is null
        ? JinjaRenderer.For(begin, end).Render
        : (template, messages, addGenerationPrompt) => renderer.Render(new(begin, end, template, messages, addGenerationPrompt));

    private static (string? Template, string Begin, string End) ReadConfig(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
        {
            return (null, "", "");
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(JsonFile.Bytes(path));
            JsonElement root = document.RootElement;
            return (Template(root), Token(root, "bos_token"), Token(root, "eos_token"));
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw EngineException.InFile(path, error.Message, inner: error);
        }
    }

    // A text, or a list of named texts with one named default.
    private static string? Template(JsonElement config) =>
        !config.TryGetProperty("chat_template", out JsonElement template) || template.ValueKind == JsonValueKind.Null ? null
        : template.ValueKind == JsonValueKind.String ? template.GetString()
        : template.EnumerateArray().First(t => t.GetProperty("name").GetString() == "default").GetProperty("template").GetString();

    private static string Token(JsonElement config, string name) =>
        !config.TryGetProperty(name, out JsonElement token) || token.ValueKind == JsonValueKind.Null ? ""
        : (token.ValueKind == JsonValueKind.Object ? token.GetProperty("content") : token).GetString()!;

    // Chat templates are written for these two settings of Jinja, and the renderer lacks them.
    private static string TrimBlocks(string source)
    {
        string text = BreakAfterBlock().Replace(BlanksBeforeBlock().Replace(source.ReplaceLineEndings("\n"), ""), "");
        return text.EndsWith('\n') ? text[..^1] : text;
    }

    [GeneratedRegex(@"(?<=[^+][%#]\})\n")]
    private static partial Regex BreakAfterBlock();

    [GeneratedRegex(@"(?<=^|\n)[ \t]+(?=\{[%#][^+])")]
    private static partial Regex BlanksBeforeBlock();
}

/// <returns>The text.</returns>
/// <exception cref="EngineException">InvalidValue (messages): the template refuses them; the inner exception has the template's own words.</exception>
internal delegate string RenderJinja(string template, string messages, bool addGenerationPrompt);

/// <summary>Jinja by onnxruntime-genai, which offers it as a method of its tokenizer.</summary>
/// <remarks>
/// That tokenizer is used for nothing else, so it reads a made-up folder with a vocabulary of two words. There is one for each pair of begin
/// and end tokens, and it lives as long as the process. It must get only folders that it accepts: after a failed constructor, the finaliser
/// ends the process (0.18.0).
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "Lives as long as the process.")]
internal sealed class JinjaRenderer
{
    private const string Vocabulary =
        """{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}""";

    private const string Configuration =
        """{"model":{"type":"llama","vocab_size":2,"context_length":1,"bos_token_id":0,"eos_token_id":1,"pad_token_id":1,"decoder":{"filename":"none"}},"search":{}}""";

    private static readonly ConcurrentDictionary<(string Bos, string Eos), Lazy<JinjaRenderer>> Renderers = new();

    private readonly Lock oneAtATime = new();
    private readonly GenAITokenizer native;

    private JinjaRenderer(string bos, string eos)
    {
        string folder = Directory.CreateTempSubdirectory("proxytune-template-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, FileNames.Tokenizer), Vocabulary);
            File.WriteAllText(Path.Combine(folder, FileNames.GenAiConfig), Configuration);
            File.WriteAllText(
                Path.Combine(folder, FileNames.TokenizerConfig),
                JsonSerializer.Serialize(new { bos_token = bos, eos_token = eos, tokenizer_class = "LlamaTokenizer" }));
            OnnxEnvironment.EnsureCreated();
            native = new GenAITokenizer(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static JinjaRenderer For(string bos, string eos) =>
        Renderers.GetOrAdd((bos, eos), key => new Lazy<JinjaRenderer>(() => new JinjaRenderer(key.Bos, key.Eos))).Value;

    public string Render(string template, string messages, bool addGenerationPrompt)
    {
        // For an empty template, the library would use the tokenizer's own.
        if (template.Length == 0)
        {
            return "";
        }

        try
        {
            // The library does not document that threads may share the object. A rendering takes about 100 microseconds.
            lock (oneAtATime)
            {
                return native.ApplyChatTemplate(template, messages, "", addGenerationPrompt);
            }
        }
        catch (OnnxRuntimeGenAIException error)
        {
            // Behind the first line's " at row" comes the template's text, several times.
            string reason = error.Message.Split('\n')[0].Split(" at row ")[0];
            throw new EngineException(EngineError.InvalidValue, $"The chat template refuses the messages: {reason}", "messages", error);
        }
    }
}
