using ProxyTune.Decoding.Text;

namespace ProxyTune.Trainer.Data;

/// <summary>How a role of a served model sees a conversation, as in a catalog's <c>templates</c>.</summary>
internal sealed class PromptFormat
{
    public const string Chat = "chat";
    public const string Plain = "plain";

    private readonly ChatTemplate? _template;

    private PromptFormat(ChatTemplate? template) => _template = template;

    /// <param name="name"><c>chat</c>: the model folder's own template; <c>plain</c>: the contents, joined by line breaks; else a .jinja file.</param>
    public static PromptFormat Of(string name, string modelFolder) => name switch
    {
        Chat => new(ChatTemplate.Load(modelFolder)),
        Plain => new(null),
        _ when File.Exists(name) => new(ChatTemplate.Parse(File.ReadAllText(name), modelFolder)),
        _ => throw new TrainingException($"template is '{name}'; accepted is {Chat}, {Plain} or the path of a .jinja file."),
    };

    public int[] Encode(Tokenizer tokenizer, IReadOnlyList<ChatMessage> messages) => _template is null
        ? tokenizer.Encode(string.Join('\n', messages.Select(message => message.Content)))
        : tokenizer.EncodeRendered(_template.Render(messages));
}
