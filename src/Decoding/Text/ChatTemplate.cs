using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Text;

/// <param name="Role">system, user or assistant (a template may accept others).</param>
/// <param name="Name">The speaker's name, if the client gives one; templates do not see it. <c>context</c> marks the message that method context_aware contrasts.</param>
public sealed record ChatMessage(string Role, string Content, string? Name = null);

/// <summary>What a template renders, as transformers' apply_chat_template takes it.</summary>
public sealed record TemplateInput
{
    /// <summary>An array of objects with <c>role</c>, <c>content</c> and whatever else the template reads.</summary>
    public required JsonElement Messages { get; init; }

    /// <summary>Descriptions of functions, an array of objects; null gives the template None.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>An array of objects, usually with title and text; null gives the template None.</summary>
    public JsonElement? Documents { get; init; }

    /// <summary>Further variables, such as enable_thinking. They win over special tokens of the same name.</summary>
    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Whether the text ends where the assistant's answer begins; default true.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Whether the text ends where the content of the last message ends, for the model to continue it; default false.</summary>
    public bool ContinueFinalMessage { get; init; }
}

/// <summary>Renders messages as a model was tuned to read them (Jinja, as in tokenizer_config.json or chat_template.jinja). Thread-safe.</summary>
/// <remarks>
/// It gives the texts of transformers 5. An interpreter of our own renders the template in this process and stops it at limits of steps, depth, memory
/// and output, so the author of a template need not be trusted.
/// </remarks>
public sealed class ChatTemplate
{
    // What transformers puts behind the content that is to be continued; it cuts the rendered text there.
    private const string Mark = "CONTINUE_FINAL_MESSAGE_TAG ";

    private static readonly string[] Own = ["messages", "tools", "documents", "add_generation_prompt"];

    private static readonly string[] ReasoningNames = ["reasoning_content", "thinking", "reasoning"];

    private readonly TemplateFiles files;
    private readonly Template template;
    private readonly Template? templateWithTools;
    private readonly IReadOnlyDictionary<string, object> tokens;
    private readonly TimeProvider clock;

    private ChatTemplate(TemplateFiles files, TimeProvider? clock)
    {
        this.files = files;
        tokens = files.Tokens;
        Source = files.Default;
        this.clock = clock ?? TimeProvider.System;
        template = Parse(files.Default, files.Path);
        templateWithTools = files.WithTools is null ? null : Parse(files.WithTools, files.Path);
    }

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>The template of a model folder, as <see cref="TemplateFiles"/> finds it.</summary>
    /// <param name="clock">The date that a template may print; null is the system's clock.</param>
    /// <exception cref="EngineException">InvalidModelFolder when the folder has none, or one that is broken or uses what is not supported.</exception>
    public static ChatTemplate Load(string folder, TimeProvider? clock = null) =>
        TryLoad(folder, clock) ?? throw EngineException.InFile(
            Path.Combine(folder, FileNames.TokenizerConfig), $"no chat template; accepted is the entry chat_template, or a file {FileNames.ChatTemplate} beside it.");

    /// <summary>As <see cref="Load"/>, but null for a folder without a chat template.</summary>
    public static ChatTemplate? TryLoad(string folder, TimeProvider? clock = null) => TemplateFiles.Find(folder) is { } files ? new(files, clock) : null;

    /// <summary>A template of the caller's, with the special tokens of a model folder.</summary>
    /// <exception cref="EngineException">InvalidModelFolder when the template is no Jinja.</exception>
    public static ChatTemplate Parse(string source, string folder, TimeProvider? clock = null) =>
        new(new(source, null, folder, TemplateFiles.SpecialTokens(folder)), clock);

    /// <summary>A template with these special tokens.</summary>
    internal static ChatTemplate Create(string source, IReadOnlyDictionary<string, object> specialTokens, TimeProvider clock) =>
        new(new(source, null, "the template", specialTokens), clock);

    /// <param name="addGenerationPrompt">Whether the text ends where the assistant's answer begins.</param>
    /// <exception cref="EngineException">InvalidValue (messages): the template refuses these messages; the reason is the template's own.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true)
    {
        List<object> list = [];
        foreach (ChatMessage message in messages)
        {
            DictValue dict = new();
            dict.Set("role", message.Role);
            dict.Set("content", message.Content);
            list.Add(dict);
        }

        return Render(new(list), NoneValue.Value, NoneValue.Value, new Dictionary<string, object>(), addGenerationPrompt);
    }

    /// <exception cref="EngineException">
    /// InvalidValue: the template refuses the messages (the reason is its own), fails on them or exceeds a limit; or the last message cannot be continued.
    /// </exception>
    public string Render(TemplateInput input)
    {
        ListValue messages = Read("messages", input.Messages) as ListValue ?? throw Invalid("messages", "is no array");
        messages = new(messages.Items.Select(Normalized));
        Dictionary<string, object> variables = [];
        foreach ((string name, JsonElement value) in input.Variables)
        {
            variables[name] = Own.Contains(name) ? throw Invalid("chat_template_kwargs", $"contains {name}, which has a field of its own") : Read("chat_template_kwargs", value);
        }

        object tools = Optional("tools", input.Tools), documents = Optional("documents", input.Documents);
        if (!input.ContinueFinalMessage)
        {
            return Render(messages, tools, documents, variables, input.AddGenerationPrompt);
        }

        if (!Chosen(tools).Source.Contains("content", StringComparison.Ordinal))
        {
            throw Invalid("messages", "ends with a message to continue, but the chat template writes no content");
        }

        string final = AppendMark(messages);
        return Cut(Render(messages, tools, documents, variables, input.AddGenerationPrompt), final);
    }

    private string Render(ListValue messages, object tools, object documents, Dictionary<string, object> variables, bool addGenerationPrompt)
    {
        Dictionary<string, object> all = new(tokens);
        foreach ((string name, object value) in variables)
        {
            all[name] = value;
        }

        all["messages"] = messages;
        all["tools"] = tools;
        all["documents"] = documents;
        all["add_generation_prompt"] = addGenerationPrompt;
        try
        {
            return Chosen(tools).Template.Render(all, clock);
        }
        catch (TemplateException error)
        {
            string reason = error.Fault switch
            {
                TemplateFault.Raised => $"The chat template refuses the messages: {error.Message}",
                TemplateFault.Limit => $"The chat template cannot be rendered, since it {error.Message}.",
                _ => $"The chat template fails on the messages: {error.Message}",
            };
            throw new EngineException(EngineError.InvalidValue, reason, "messages", error);
        }
    }

    // transformers takes another template where the folder has one for tools.
    private (Template Template, string Source) Chosen(object tools) => tools is not NoneValue && templateWithTools is not null ? (templateWithTools, files.WithTools!) : (template, Source);

    private static Template Parse(string source, string path)
    {
        try
        {
            return Template.Parse(source);
        }
        catch (TemplateException error)
        {
            throw EngineException.InFile(path, error.Fault switch
            {
                TemplateFault.Unsupported => $"the chat template uses what cannot be rendered here: {error.Message}.",
                TemplateFault.Limit => $"the chat template {error.Message}.",
                _ => $"the chat template is broken: {error.Message}.",
            }, inner: error);
        }
    }

    // Keys without a value are left out. Families name a message's reasoning differently, so it gets both names.
    private static object Normalized(object message)
    {
        if (message is not DictValue given)
        {
            return message;
        }

        DictValue kept = new();
        object? reasoning = ReasoningNames.Select(given.Find).FirstOrDefault(value => value is not (null or NoneValue));
        if (reasoning is not null && given.Find("thinking") is null or NoneValue)
        {
            kept.Set("thinking", reasoning);
        }

        foreach ((object key, object value) in given.Items)
        {
            if (value is not NoneValue)
            {
                kept.Set(key, value);
            }
        }

        if (reasoning is not null)
        {
            kept.Set("reasoning_content", reasoning);
        }

        return kept;
    }

    /// <returns>The content that is to be continued.</returns>
    private static string AppendMark(ListValue messages)
    {
        DictValue last = messages.Items.LastOrDefault() as DictValue ?? throw Invalid("messages", "is empty, so that there is no message to continue");
        DictValue copy = new();
        copy.SetAll(last);
        messages.Items[^1] = copy;
        switch (last.Find("content"))
        {
            case string text:
                copy.Set("content", text + Mark);
                return text;
            case ListValue parts:
                ListValue marked = new(parts.Items);
                copy.Set("content", marked);
                int at = marked.Items.FindLastIndex(part => (part as DictValue)?.Find("text") is not null);
                if (at >= 0 && ((DictValue)marked.Items[at]).Find("text") is string end)
                {
                    DictValue part = new();
                    part.SetAll((DictValue)marked.Items[at]);
                    part.Set("text", end + Mark);
                    marked.Items[at] = part;
                    return end;
                }

                throw Invalid("messages", "ends with a message without text to continue");
            default:
                throw Invalid("messages", "ends with a message without content to continue");
        }
    }

    private static string Cut(string rendered, string final)
    {
        string mark = Mark.TrimEnd();
        int at = rendered.LastIndexOf(mark, StringComparison.Ordinal);
        if (at < 0 || !rendered.Contains(Strings.Strip(final, null, true, true), StringComparison.Ordinal))
        {
            throw Invalid("messages", "ends with a message that the chat template does not write as it is, so that it cannot be continued");
        }

        string cut = rendered[..at];
        return string.CompareOrdinal(rendered, at, Mark, 0, Mark.Length) == 0 ? cut : Strings.Strip(cut, null, false, true);
    }

    private static object Optional(string field, JsonElement? value) => value is { ValueKind: not JsonValueKind.Undefined } given ? Read(field, given) : NoneValue.Value;

    private static object Read(string field, JsonElement value)
    {
        try
        {
            return JsonValues.Read(value);
        }
        catch (Exception error) when (error is InvalidOperationException or TemplateException)
        {
            throw new EngineException(EngineError.InvalidValue, $"{field} holds a value that no template can read: {error.Message}", field, error);
        }
    }

    private static EngineException Invalid(string field, string problem) => new(EngineError.InvalidValue, $"{field} {problem}.", field);
}
