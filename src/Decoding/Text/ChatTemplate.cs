namespace ProxyTune.Decoding.Text;

/// <param name="Role">system, user or assistant (what a template accepts beyond these is the template's matter).</param>
public sealed record ChatMessage(string Role, string Content);

/// <summary>Renders messages as a model was tuned to read them (Jinja, as in tokenizer_config.json or chat_template.jinja).</summary>
public sealed class ChatTemplate
{
    public static ChatTemplate Load(string folder) => throw new NotImplementedException(folder);

    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = true) => throw new NotImplementedException(messages.ToString() + addGenerationPrompt);
}
