using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Data;

/// <summary>Finds the template that renders a conversation for a model, as in a catalog's <c>templates</c>.</summary>
internal static class PromptFormat
{
    public const string Chat = "chat";
    public const string Plain = "plain";

    /// <param name="name"><c>chat</c> is the model folder's template, <c>plain</c> joins the contents with line breaks, and any other name is the path of a .jinja file.</param>
    public static PromptReader Of(string name, string modelFolder, Tokenizer tokenizer) => new(tokenizer, name switch
    {
        Chat => ChatTemplate.Load(modelFolder),
        Plain => null,
        _ when File.Exists(name) => ChatTemplate.Parse(File.ReadAllText(name), modelFolder),
        _ => throw new TrainingException($"template is '{name}'; accepted is {Chat}, {Plain} or the path of a .jinja file."),
    });
}
