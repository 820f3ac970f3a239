using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Data;

/// <summary>How a role of a served model sees a conversation, as in a catalog's <c>templates</c>.</summary>
internal static class PromptFormat
{
    public const string Chat = "chat";
    public const string Plain = "plain";

    /// <param name="name"><c>chat</c>: the model folder's own template; <c>plain</c>: the contents, joined by line breaks; else a .jinja file.</param>
    public static PromptReader Of(string name, string modelFolder, Tokenizer tokenizer) => new(tokenizer, name switch
    {
        Chat => ChatTemplate.Load(modelFolder),
        Plain => null,
        _ when File.Exists(name) => ChatTemplate.Parse(File.ReadAllText(name), modelFolder),
        _ => throw new TrainingException($"template is '{name}'; accepted is {Chat}, {Plain} or the path of a .jinja file."),
    });
}
