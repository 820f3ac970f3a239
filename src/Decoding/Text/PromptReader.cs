namespace ProxyTune.Decoding.Text;

/// <summary>How one model reads prompts in one role: its own tokenizer and that role's template. Serving and training share it, so that an expert is tuned on what it will see.</summary>
/// <param name="Template">Null reads the messages' contents only, joined by newlines.</param>
public sealed record PromptReader(Tokenizer Tokenizer, ChatTemplate? Template)
{
    public int[] Read(IReadOnlyList<ChatMessage> messages) => Template is null
        ? Read(string.Join('\n', messages.Select(message => message.Content)))
        : Tokenizer.EncodeRendered(Template.Render(messages));

    public int[] Read(string text) => Tokenizer.Encode(text);
}
